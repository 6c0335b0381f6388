"""``seatrial cluster up | status | down``: a cluster that runs Seatrial's jobs, on this machine or somebody else's.

The outside is five programs (docker, kind, minikube, kubectl, helm), all started by :mod:`cluster.bringup.runner`. Every stage looks
first whether its work is done, so the same command goes on where it stopped. Waiting is watching: the API says when something changes.
"""
