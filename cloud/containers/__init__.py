"""What runs inside the clouds' containers: the programs ``train``, ``serve`` and ``process``, and Azure's command.

The same images serve both clouds. Nothing here imports boto3 or azure: what a container needs of its cloud lies in files
and variables, and S3 is reached through :mod:`jobs.contracts.storage`.
"""
