#!/bin/bash
# Forty shards of a folder as a job array; then: l2l merge rows -o rows.parquet
#SBATCH --job-name=l2l
#SBATCH --array=1-40
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --requeue
#SBATCH --open-mode=append

# A task that is begun again goes on where it was: what is done is kept beside its output.
l2l predict videos/ --recursive --plan engine.plan \
  --parquet rows --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --shard-by bytes \
  --workers "$SLURM_CPUS_PER_TASK" --isolate --max-memory 4000000000 --timeout 600
status=$?
# 1 says that files failed, and their rows say why: nothing to do again.
[ "$status" -le 1 ]
