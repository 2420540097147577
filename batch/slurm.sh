#!/bin/bash
# Converts the inputs in files.txt, in as many tasks as the array has. Submit it where files.txt lies:
#   sbatch batch/slurm.sh
# Again for tasks that are not finished (those that are change nothing):
#   sbatch --array=$(pando status parts --again) batch/slurm.sh
# When all are finished:  pando index parts/*.pando --into jets.pando
#SBATCH --job-name=pando
#SBATCH --array=0-7
#SBATCH --cpus-per-task=2
#SBATCH --mem=2G
#SBATCH --time=04:00:00
#SBATCH --output=parts/%a.log
#SBATCH --open-mode=append
# A task that is preempted, or whose node is lost, goes on where it was ...
#SBATCH --requeue
# ... and one that runs out of time saves what it has: it gets this signal two minutes before.
#SBATCH --signal=B:USR1@120

# How many tasks the conversion has. Not the size of the array: that is smaller when only some are submitted again.
tasks=8

# In place of this script, so that it is pando that gets the signals.
exec pando convert @files.txt "parts/{task}.pando" --task auto --tasks "$tasks" --quiet
