"""Kubernetes: manifests, one API client, bring-up of kind and minikube. Nothing has moved in yet."""
