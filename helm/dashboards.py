"""The Grafana dashboards of the chart: ``python helm/dashboards.py`` writes ``seatrial/files/dashboards/*.json`` (make chart-docs).

One row of a table is one panel: title, unit, legend, query. Every metric was seen in a scrape; tests/helm/scrapes has their names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "seatrial/files/dashboards"
_WIDTH, _HEIGHT = 12, 8  # of a panel; Grafana's grid is 24 wide
Panel = tuple[str, str, str, str]

DASHBOARDS: dict[str, tuple[str, list[Panel]]] = {
    "training": (
        "Seatrial: training",
        [
            ("State of each run", "none", "{{ray_train_run_name}} {{ray_train_controller_state}}", "ray_train_controller_state == 1"),
            ("Start of the worker group", "s", "{{ray_train_run_name}}", "ray_train_worker_group_start_total_time_s"),
            (
                "Blocked in reports",
                "percentunit",
                "{{ray_train_run_name}} rank {{ray_train_worker_world_rank}}",
                "rate(ray_train_report_total_blocked_time_s[5m])",
            ),
            (
                "Writing checkpoints",
                "percentunit",
                "{{ray_train_run_name}} rank {{ray_train_worker_world_rank}}",
                "rate(ray_train_checkpoint_sync_total_time_s[5m])",
            ),
            ("Processor", "percent", "{{ip}}", "ray_node_cpu_utilization"),
            ("Memory of the nodes", "bytes", "{{ip}}", "ray_node_mem_used"),
            ("Memory by process", "bytes", "{{Component}}", "sum by (Component) (ray_component_uss_bytes)"),
            ("Received from the network", "Bps", "{{ip}}", "ray_node_network_receive_speed"),
        ],
    ),
    "serving": (
        "Seatrial: serving",
        [
            ("Answers per second", "reqps", "{{code}}", 'sum by (code) (rate(haproxy_backend_http_responses_total{proxy="http-seatrial"}[1m]))'),
            (
                "Share of server errors",
                "percentunit",
                "5xx",
                'sum(rate(haproxy_backend_http_responses_total{proxy="http-seatrial",code="5xx"}[5m]))'
                ' / sum(rate(haproxy_backend_http_responses_total{proxy="http-seatrial"}[5m]))',
            ),
            (
                "Latency in the replica, 99th percentile",
                "s",
                "{{http_route}}",
                "histogram_quantile(0.99, sum by (le, http_route) (rate(ray_http_server_request_duration_seconds_bucket_total[5m])))",
            ),
            (
                "Latency in the replica, median",
                "s",
                "{{http_route}}",
                "histogram_quantile(0.5, sum by (le, http_route) (rate(ray_http_server_request_duration_seconds_bucket_total[5m])))",
            ),
            (
                "Scoring requests by version",
                "reqps",
                "{{model_name}} {{model_version}}",
                "sum by (model_name, model_version) (rate(ray_model_infer_request_success_total[1m]))",
            ),
            ("Rows by version", "none", "{{model}} {{model_version}}", "sum by (model, model_version) (rate(ray_seatrial_rows_total[1m]))"),
            (
                "Rows in one call of the model",
                "none",
                "{{model}} {{model_version}}",
                "sum by (model, model_version) (rate(ray_seatrial_batch_rows_sum_total[5m]))"
                " / sum by (model, model_version) (rate(ray_seatrial_batch_rows_count_total[5m]))",
            ),
            (
                "Mean probability",
                "percentunit",
                "{{model}} {{model_version}}",
                "sum by (model, model_version) (rate(ray_seatrial_prediction_sum_total[5m]))"
                " / sum by (model, model_version) (rate(ray_seatrial_prediction_count_total[5m]))",
            ),
            ("Replicas by version and role", "none", "{{model_version}} {{role}}", "count by (model_version, role) (ray_seatrial_model_info == 1)"),
            ("Failed since the last step of the rollout", "percentunit", "{{version}} {{role}}", "max by (version, role) (ray_seatrial_rollout_failed_ratio)"),
            ("Requests in work", "none", "{{replica}}", "sum by (replica) (ray_http_server_active_requests)"),
            ("Replicas that are healthy", "none", "{{deployment}}", "sum by (deployment) (ray_serve_deployment_replica_healthy)"),
            ("Waiting in the proxy", "none", "{{instance}}", 'haproxy_backend_current_queue{proxy="http-seatrial"}'),
            ("Servers behind the proxy", "none", "{{instance}}", 'haproxy_backend_active_servers{proxy="http-seatrial"}'),
        ],
    ),
    "etl": (
        "Seatrial: ETL",
        [
            ("Tasks that run", "none", "{{executor_id}}", "metrics_executor_activeTasks"),
            ("Tasks finished per second", "ops", "{{executor_id}}", "rate(metrics_executor_completedTasks_total[1m])"),
            ("Tasks that failed", "none", "{{executor_id}}", "metrics_executor_failedTasks_total"),
            (
                "Share of time in garbage collection",
                "percentunit",
                "{{executor_id}}",
                "rate(metrics_executor_totalGCTime_seconds_total[1m]) / rate(metrics_executor_totalDuration_seconds_total[1m])",
            ),
            ("Heap", "bytes", "{{executor_id}}", "metrics_executor_JVMHeapMemory_bytes"),
            ("Read per second", "Bps", "{{executor_id}}", "rate(metrics_executor_totalInputBytes_bytes_total[1m])"),
            ("Shuffle written per second", "Bps", "{{executor_id}}", "rate(metrics_executor_totalShuffleWrite_bytes_total[1m])"),
            ("Spilled to disk", "bytes", "{{executor_id}}", "metrics_executor_diskUsed_bytes"),
        ],
    ),
    "gpu": (
        "Seatrial: GPUs, as Ray gives them to work",
        [
            ("GPUs in use", "none", "{{NodeAddress}}", 'sum by (NodeAddress) (ray_resources{Name="GPU",State="USED"})'),
            ("GPUs that are free", "none", "{{NodeAddress}}", 'sum by (NodeAddress) (ray_resources{Name="GPU",State="AVAILABLE"})'),
            (
                "Share in use",
                "percentunit",
                "GPUs",
                'sum(ray_resources{Name="GPU",State="USED"}) / sum(ray_resources{Name="GPU"})',
            ),
            ("Placement groups", "none", "{{State}}", "sum by (State) (ray_gcs_placement_group_count)"),
            ("Nodes", "none", "{{node_type}}", "sum by (node_type) (ray_cluster_active_nodes)"),
            ("Work that no node can take", "none", "{{instance}}", "ray_internal_num_infeasible_scheduling_classes"),
        ],
    ),
}


def dashboard(name: str) -> dict[str, Any]:
    title, panels = DASHBOARDS[name]
    return {
        "uid": f"seatrial-{name}",
        "title": title,
        "tags": ["seatrial"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]},
        "panels": [_panel(number, panel) for number, panel in enumerate(panels)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    title, unit, legend, query = panel
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": source,
        "gridPos": {"x": number % 2 * _WIDTH, "y": number // 2 * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [{"refId": "A", "datasource": source, "expr": query, "legendFormat": legend}],
    }


def products() -> dict[Path, str]:
    """File to the text that it should have."""
    return {FOLDER / f"{name}.json": json.dumps(dashboard(name), indent=2) + "\n" for name in DASHBOARDS}


if __name__ == "__main__":
    for path, text in products().items():
        path.write_text(text)
