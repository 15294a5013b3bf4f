"""Studies: several runs that differ in one thing, and what their results show together.

    settings → a plan of runs (study_plan) → their accuracies (study_results) → findings

`study_plan` says which runs a study has, `study_results` reads their directories, and
`study_findings` states in sentences what the accuracies show. The command line makes the runs and
writes tables, charts and pages (`datm_cli.studies`).
"""
