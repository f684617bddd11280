#!/usr/bin/env bash
# Bring up a SLURM of this one machine in a folder of its own, for the tests; as root, with slurm-wlm and munge installed.
#   start_slurm.sh FOLDER       start; then: export SLURM_CONF=FOLDER/slurm.conf PATH=FOLDER/bin:$PATH
#   start_slurm.sh FOLDER stop  end what was started
#   start_slurm.sh FOLDER restart  stop slurmctld and start it again, jobs and node left alone
# Nothing outside FOLDER is written, and services of the system are left alone.
set -eu
folder=$(realpath -m "$1")
first_port=${SLURM_TEST_PORT:-17317}

stop() {
    # slurmd first: it is the one that holds the jobs.
    for name in slurmd slurmctld munged; do
        [ -s "$folder/$name.pid" ] || continue
        kill "$(cat "$folder/$name.pid")" 2>>"$folder/stop.log" || echo "$name had ended" >>"$folder/stop.log"
    done
}

if [ "${2:-start}" = stop ]; then
    stop
    exit
fi

if [ "${2:-start}" = restart ]; then
    export SLURM_CONF=$folder/slurm.conf
    old=$(cat "$folder/slurmctld.pid")
    kill "$old"
    while kill -0 "$old" 2>>"$folder/stop.log"; do sleep 0.2; done
    slurmctld
    exit
fi

for program in munged slurmctld slurmd sbatch squeue; do
    command -v $program >/dev/null || { echo "$program is not installed; apt install slurm-wlm munge" >&2; exit 2; }
done
[ "$(id -u)" = 0 ] || { echo "slurmd wants to be root" >&2; exit 2; }
mkdir -p "$folder/state" "$folder/spool" "$folder/bin"
# munged wants its key and socket where nobody else writes.
chmod 755 "$folder"
head -c 1024 /dev/urandom >"$folder/munge.key"
chmod 400 "$folder/munge.key"
# nproc would heed OMP_NUM_THREADS.
cores=$(nproc --all)
memory_MB=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
cat >"$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$first_port
SlurmdPort=$((first_port + 1))
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
# squeue tells how a job ended for so long; without a database nothing else does.
MinJobAge=300
SchedulerParameters=sched_interval=2
ReturnToService=2
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory_MB State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$folder/slurm.conf
# The plugin takes every SLURM_ variable away from srun, which then looks below /etc only.
cat >"$folder/bin/srun" <<WRAPPER
#!/bin/sh
SLURM_CONF=$SLURM_CONF exec $(command -v srun) "\$@"
WRAPPER
chmod 755 "$folder/bin/srun"
munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
    --log-file="$folder/munged.log" --seed-file="$folder/munge.seed"
slurmctld
slurmd
for _ in $(seq 30); do
    if [ "$(sinfo --noheader --format=%t 2>>"$folder/start.log")" = idle ]; then
        exit
    fi
    sleep 1
done
echo "the node did not come up; see $folder/*.log" >&2
stop
exit 1
