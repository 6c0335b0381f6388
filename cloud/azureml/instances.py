"""Azure's machine types, cheapest first within each kind, as its pages on sizes describe them."""

from __future__ import annotations

from cloud.machines import Machine

INSTANCES = (
    Machine("Standard_DS2_v2", 2, 7),
    Machine("Standard_D2s_v3", 2, 8),
    Machine("Standard_DS3_v2", 4, 14),
    Machine("Standard_D4s_v3", 4, 16),
    Machine("Standard_DS4_v2", 8, 28),
    Machine("Standard_D8s_v3", 8, 32),
    Machine("Standard_D16s_v3", 16, 64),
    Machine("Standard_D32s_v3", 32, 128),
    Machine("Standard_D64s_v3", 64, 256),
    Machine("Standard_E64s_v3", 64, 432),
    Machine("Standard_NC4as_T4_v3", 4, 28, 1, "T4"),
    Machine("Standard_NC8as_T4_v3", 8, 56, 1, "T4"),
    Machine("Standard_NC16as_T4_v3", 16, 110, 1, "T4"),
    Machine("Standard_NC6s_v3", 6, 112, 1, "V100"),
    Machine("Standard_NV36ads_A10_v5", 36, 440, 1, "A10"),
    Machine("Standard_NC24ads_A100_v4", 24, 220, 1, "A100"),
    Machine("Standard_NC40ads_H100_v5", 40, 320, 1, "H100"),
    Machine("Standard_NC12s_v3", 12, 224, 2, "V100"),
    Machine("Standard_NC48ads_A100_v4", 48, 440, 2, "A100"),
    Machine("Standard_NC64as_T4_v3", 64, 440, 4, "T4"),
    Machine("Standard_NC24s_v3", 24, 448, 4, "V100"),
    Machine("Standard_NC96ads_A100_v4", 96, 880, 4, "A100"),
    Machine("Standard_ND96asr_v4", 96, 900, 8, "A100"),
    Machine("Standard_ND96isr_H100_v5", 96, 1900, 8, "H100"),
)
