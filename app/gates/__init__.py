"""Gates: what of a finished audit must hold for a build to go on.

A gate is a condition over the audit's figures and their bounds. All of it is a pure function of
what the service says of the audit, so the command line and its reports are thin.

| file | holds |
|---|---|
| `expression.py` | `worst_uar@0.02.low < 0.35`, read |
| `audit.py` | what is read of an audit and of a comparison |
| `names.py` | the figures that an audit has, by the names that a gate may use |
| `gate_file.py` | `serval-gate.toml`, with its waivers |
| `judging.py` | gates, checks and waivers → a verdict |
| `verdict.py` | the verdict, typed: all that is shown is a projection of it |
| `junit.py`, `markdown.py`, `text.py` | the verdict as files, and on a terminal |
"""
