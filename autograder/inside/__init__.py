"""What goes into the sandbox beside the student's code: nothing here knows an answer or a test.

The folder is mounted on its own there, as the package `inside`: so its imports are relative, and
of torch, IPython and `mnistdiff` only.
"""
