"""Replay bundles: an audit as one signed file that a stranger can run again, without a service.

It runs `models.audit` directly and not the code of the workers: what that adds is keeping what is
scored over kills, pauses and several processes, for which a database and a queue are asked. A
replay is one process that anybody may start again; and `app` may not import `workers`.
"""
