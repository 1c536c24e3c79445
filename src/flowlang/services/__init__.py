"""Services described in YAML: connection types without code.

`read` makes a `Service` of a file, with findings as for flows; `plugin` makes a connection type of it, on top of the
type `http`; `files` finds the files, beside a flow, in a folder `services`, or in an installed package.
"""
