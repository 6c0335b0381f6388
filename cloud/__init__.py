"""Amazon SageMaker and Azure ML: request builders, thin clients, offline practice. Nothing has moved in yet."""
