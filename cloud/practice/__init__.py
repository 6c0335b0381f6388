"""Amazon SageMaker and Azure ML on loopback: the clouds' own wire protocols in front, real processes behind."""
