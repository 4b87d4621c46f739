"""The grader's code inside the sandbox. It contains no answers and no tests.

The folder is mounted there alone, as the package `inside`. So it uses relative imports, and
imports only torch, IPython and `mnistdiff`.
"""
