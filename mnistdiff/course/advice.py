"""What Python's and torch's error messages mean in an answer: one sentence for each.

The visible tests and the hidden checks both add these sentences, so that an exercise need not.
"""

NO_NUMPY = "NumPy cuts the gradient, and so does .detach(): use torch operations throughout"
_AXES = "check the axes: keepdim=True keeps a reduced axis, [:, None] adds one"
_ONE_NUMBER = (
    "a function for one number (of `math`, or float(), int(), .item()) got a tensor of many: use "
    "torch's function for it, and index with a whole tensor, as in abar[t]"
)
_IN_PLACE = "write a new tensor, as in x = x + y"
_TARGETS = "F.cross_entropy takes one row of scores and one target for each image"
# Part of a message, and the sentence. The first match counts.
_TENSORS = {
    "call numpy() on": NO_NUMPY,  # its own advice, .detach(), is wrong in a loss
    "modified by an inplace operation": (
        "an operation in place (+=, /=, add_) has overwritten a value that the gradient still "
        f"needs: {_IN_PLACE}"
    ),
    "leaf Variable that requires grad": (
        f"an operation in place (+=, /=, add_) would change a learned parameter: {_IN_PLACE}"
    ),
    "refers to a single memory location": (
        f"an operation in place would change an expanded tensor, whose rows are one: {_IN_PLACE}"
    ),
    "only one element tensors can be converted": _ONE_NUMBER,
    "cannot be converted to Scalar": _ONE_NUMBER,
    "only integer tensors of a single element": _ONE_NUMBER,
    "Boolean value of Tensor": (
        "`if`, `and`, `or` and `not` need one truth value, and a tensor has many: use a mask or "
        "torch.where, and `is None` to ask whether an argument is missing"
    ),
    "'Tensor' object is not callable": "a tensor is indexed with [ ], not called with ( )",
    "shapes cannot be multiplied": (
        "the inner sizes of a matrix product differ: two tables of vectors (N, E) and (K, E) need "
        "a transpose, a @ b.T, and a linear layer its own number of inputs"
    ),
    "must match the size of tensor": f"these shapes do not broadcast: {_AXES}",
    "doesn't match the broadcast shape": f"the result does not fit into this tensor: {_AXES}",
    "shape mismatch": f"these shapes do not fit: {_AXES}",
    "must have the same dtype, but got Long": (
        "a layer got whole numbers, perhaps t itself: a network takes t through its time embedding"
    ),
    "could not infer output dtype": "booleans and integers have no mean: use .float() before it",
    "with a bool tensor is not supported": "booleans cannot be subtracted: ~mask inverts a mask",
    "on a bool tensor is not supported": "booleans cannot be negated with -: ~mask inverts a mask",
    "tensors used as indices must be": (
        "a tensor of floats is used as an index, but only integers, such as t, can be one: are two "
        "arguments swapped?"
    ),
    "is out of bounds for": (
        "an index is past the end: n entries, such as T timesteps, are counted from 0 to n - 1"
    ),
    "is out of bounds": f"a target is not among the scores: {_TARGETS}",
    "to match target batch_size": f"there are too few or too many targets: {_TARGETS}",
    "arget dtype to be Long": "targets are whole numbers, as from torch.arange: without .float()",
    "missing 1 required positional argument: 't'": (
        "a function that also takes the timestep t, as model(z_t, t) does, was called without it"
    ),
    "'float' object has no attribute": (
        "a Python float has no tensor methods: use x ** 0.5, `math`, or torch.as_tensor"
    ),
    "'bool' object has no attribute": (
        "this comparison gives one bool, because its two sides are not both tensors: max(dim) "
        "returns values and indices, argmax(dim) only the indices"
    ),
    "invalid combination of arguments": (
        "torch does not take these arguments; NumPy's functions, such as np.std(x), do not work on "
        "tensors: use torch's, such as x.std()"
    ),
}
_LINK = (
    'a link such as ["8", 0] is a list [id, output]: the key of the graph is its first part, '
    "link[0], so that graph[link[0]] is the node"
)
_NODES = (
    "a loop over a graph gives its ids: graph.values() gives the nodes, graph.items() both; a "
    'node is a dictionary, as in node["inputs"]'
)
_TEXT_IDS = "ids are text, such as \"8\": str() makes a text, int() a number"
_GRAPHS = {
    "unhashable type: 'list'": _LINK,
    "list indices must be integers": _LINK,
    "string indices must be integers": _NODES,
    "values to unpack (expected": _NODES,
    "'dict' object has no attribute": _NODES,
    "'str' object": _NODES,
    "'int' object is not subscriptable": (
        "an input is a link [id, output] or a plain value, such as a number: test with "
        "isinstance(value, list) before value[0]"
    ),
    "dictionary changed size": "add a node after the loop over the graph, not inside it",
    "can only concatenate str": _TEXT_IDS,
    "invalid literal for int()": "an id can be any text, not only a number",
}
_MISSING = (
    "this is not in the graph: its ids can be any text, in any order, and a node has class_type "
    "and inputs; find nodes by their class_type (a loader has one of two), and follow links, whose "
    "link[0] is an id"
)


def on_error(text: str) -> str:
    """Return the sentence for the text of an error in an answer about tensors, or ""."""
    return next((why for part, why in _TENSORS.items() if part in text), "")


def on_graph_error(text: str) -> str:
    """Return the sentence for the name and text of an error in an answer about graphs, or ""."""
    if any(name in text for name in ("KeyError", "IndexError", "StopIteration")):
        return _MISSING
    return next((why for part, why in _GRAPHS.items() if part in text), "")
