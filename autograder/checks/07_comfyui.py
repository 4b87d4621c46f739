"""Checks of notebook 07: inserting a LoRA into a workflow; editing its sampler and prompts."""

from autograder.checks import edit_sampler, insert_lora

InsertLora = insert_lora.InsertLora
EditSampler = edit_sampler.EditSampler
