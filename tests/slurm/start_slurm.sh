#!/usr/bin/env bash
# Bring up a SLURM of two nodes, test1 and test2, both this machine, in a folder of its own, for the tests; as root, with
# slurm-wlm and munge installed.
#   start_slurm.sh FOLDER       start; then: export SLURM_CONF=FOLDER/slurm.conf PATH=FOLDER/bin:$PATH
#   start_slurm.sh FOLDER stop  end what was started
#   start_slurm.sh FOLDER restart  stop slurmctld and start it again, jobs and nodes left alone
#   start_slurm.sh FOLDER cut NODE  take its power: its slurmd and all of its jobs are gone
#   start_slurm.sh FOLDER revive NODE  start its slurmd again
# Nothing outside FOLDER is written, and services of the system are left alone.
set -eu
folder=$(realpath -m "$1")
first_port=${SLURM_TEST_PORT:-17317}

cut_power() {
    [ -s "$folder/slurmd-$1.pid" ] || return 0
    doomed=$(cat "$folder/slurmd-$1.pid")
    for process in /proc/[0-9]*; do
        grep -qzxs "SLURMD_NODENAME=$1" "$process/environ" || continue
        doomed="$doomed ${process#/proc/}"
        # And the slurmstepd that started it.
        parent=$(awk '/^PPid:/ {print $2}' "$process/status" 2>>"$folder/stop.log") || continue
        if grep -qxs slurmstepd "/proc/$parent/comm"; then doomed="$doomed $parent"; fi
    done
    # Some are named twice, or end by themselves meanwhile.
    kill -KILL $doomed 2>>"$folder/stop.log" || true
}

stop() {
    # Nodes first: they are what holds the jobs.
    cut_power test1
    cut_power test2
    for name in slurmctld munged; do
        if [ -s "$folder/$name.pid" ]; then end "$(cat "$folder/$name.pid")"; fi
    done
}

# End a process, and wait until it has written what it still has to write.
end() {
    kill "$1" 2>>"$folder/stop.log" || return 0
    while kill -0 "$1" 2>>"$folder/stop.log"; do sleep 0.2; done
}

if [ "${2:-start}" = stop ]; then
    stop
    exit
fi

if [ "${2:-start}" = restart ]; then
    export SLURM_CONF=$folder/slurm.conf
    end "$(cat "$folder/slurmctld.pid")"
    slurmctld
    exit
fi

if [ "${2:-start}" = cut ]; then
    cut_power "$3"
    exit
fi

if [ "${2:-start}" = revive ]; then
    SLURM_CONF=$folder/slurm.conf slurmd -N "$3"
    exit
fi

for program in munged slurmctld slurmd sbatch squeue; do
    command -v $program >/dev/null || { echo "$program is not installed; apt install slurm-wlm munge" >&2; exit 2; }
done
[ "$(id -u)" = 0 ] || { echo "slurmd wants to be root" >&2; exit 2; }
mkdir -p "$folder/state" "$folder/spool-test1" "$folder/spool-test2" "$folder/bin"
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
# A node that does not answer for so long is down, and its jobs are sent to another one.
SlurmdTimeout=10
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool-%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd-%n.log
NodeName=DEFAULT CPUs=$cores RealMemory=$memory_MB State=UNKNOWN
NodeName=test1 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((first_port + 1))
NodeName=test2 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((first_port + 2))
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
slurmd -N test1
slurmd -N test2
for _ in $(seq 30); do
    if [ "$(sinfo --noheader --format=%D%t 2>>"$folder/start.log")" = 2idle ]; then
        exit
    fi
    sleep 1
done
echo "the nodes did not come up; see $folder/*.log" >&2
stop
exit 1
