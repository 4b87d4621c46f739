"""Checks of notebook 07: a LoRA put into a workflow; its sampler's settings and prompts."""

from autograder.checks import edit_sampler, insert_lora

InsertLora = insert_lora.InsertLora
EditSampler = edit_sampler.EditSampler
