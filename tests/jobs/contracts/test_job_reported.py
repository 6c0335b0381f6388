"""Reading what a step reported."""

from jobs.contracts.job import reported


def test_a_line_that_a_full_disk_cut_off_is_passed_over() -> None:
    torn = '{"epoch": 1}\n{"epoch": 2, "rows_per{"epoch": 3}\n[7]\n{"epoch": 4}\n{"epo'
    assert [line["epoch"] for line in reported(torn)] == [1, 4]
