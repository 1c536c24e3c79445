"""What the SQL plugins share. A provider states its dialect, its settings and its handles; the rest comes from here.

| module | what it holds |
|---|---|
| `dialect` | how each family of databases writes SQL |
| `tokens` | the pieces of a statement |
| `holes` | where a statement has its expressions and placeholders |
| `text` | a statement with its values bound, and names quoted |
| `records` | records on their way into a table: which statement takes them |
| `results` | what tasks and handles give back |
| `handle` | `SqlHandle`: what a plugin does with its driver |
| `tasks` | the six tasks, over a handle |
| `plugin` | `SqlPlugin`: the tasks with a pool of handles |

The check reads statements without any plugin: `dialect`, `tokens`, `holes` and `text` import none of the others.
"""
