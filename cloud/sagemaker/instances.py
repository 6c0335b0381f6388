"""SageMaker's instance types, cheapest first within each kind, as the EC2 pages describe them (m5, g4dn, g5, g6, p3, p4d, p5)."""

from __future__ import annotations

from cloud.machines import Machine

INSTANCES = (
    Machine("ml.m5.large", 2, 8),
    Machine("ml.m5.xlarge", 4, 16),
    Machine("ml.m5.2xlarge", 8, 32),
    Machine("ml.m5.4xlarge", 16, 64),
    Machine("ml.m5.12xlarge", 48, 192),
    Machine("ml.m5.24xlarge", 96, 384),
    Machine("ml.g4dn.xlarge", 4, 16, 1, "T4"),
    Machine("ml.g4dn.2xlarge", 8, 32, 1, "T4"),
    Machine("ml.g6.xlarge", 4, 16, 1, "L4"),
    Machine("ml.g5.xlarge", 4, 16, 1, "A10G"),
    Machine("ml.g6.2xlarge", 8, 32, 1, "L4"),
    Machine("ml.g5.2xlarge", 8, 32, 1, "A10G"),
    Machine("ml.g5.4xlarge", 16, 64, 1, "A10G"),
    Machine("ml.p3.2xlarge", 8, 61, 1, "V100"),
    Machine("ml.g4dn.12xlarge", 48, 192, 4, "T4"),
    Machine("ml.g6.12xlarge", 48, 192, 4, "L4"),
    Machine("ml.g5.12xlarge", 48, 192, 4, "A10G"),
    Machine("ml.p3.8xlarge", 32, 244, 4, "V100"),
    Machine("ml.g5.48xlarge", 192, 768, 8, "A10G"),
    Machine("ml.p3.16xlarge", 64, 488, 8, "V100"),
    Machine("ml.p4d.24xlarge", 96, 1152, 8, "A100"),
    Machine("ml.p5.48xlarge", 192, 2048, 8, "H100"),
)
