"""Kubernetes: pure manifests, one API client, and the target that sends jobs there."""
