"""``optreg compare``: the same task, trained with several optimizers.

In Python: ``compare(experiment("digits", ["sgd", "adam"]))`` gives a ``Comparison``; ``to_json`` and ``from_json``
write and read it, ``draw`` makes its picture, ``table`` what the command prints.
"""
