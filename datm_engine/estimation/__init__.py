"""What a run costs before it begins: time, memory and disk of each stage.

Operations of a stage are counted by formulas (`operations`) and multiplied by the speed of the
machine (`machine_speed`), which is measured once and cached. `workload` says what a run computes,
`stage_costs` what that costs, and `savings` what cheaper settings save. Nothing here loads torch:
the cost is known before the screen opens. `calibration.machine_probe` measures a speed that is not
cached, and `calibration.step_timing` times a run's own steps.
"""
