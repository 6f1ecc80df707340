#!/usr/bin/env bash
# Slurm on this machine alone, as root on Debian: one node, one partition, no accounting.
#   bash benchmarks/slurm_node.sh          installs (apt), configures and starts munge, slurmctld and slurmd
#   bash benchmarks/slurm_node.sh stop     ends them
set -euo pipefail
if [ "${1:-start}" = stop ]; then
    for pid in /run/slurmd.pid /run/slurmctld.pid /run/munge/munged.pid; do
        [ ! -s $pid ] || kill "$(cat $pid)" || true
    done
    exit 0
fi
command -v slurmctld > /dev/null || apt-get install -y -q slurm-wlm munge > /dev/null
host=$(hostname -s)
mkdir -p /run/munge /var/lib/munge /var/log/munge /var/spool/slurmctld /var/spool/slurmd /etc/slurm
[ -s /etc/munge/munge.key ] || { head -c 1024 /dev/urandom > /etc/munge/munge.key; }
chown -R munge: /etc/munge /run/munge /var/lib/munge /var/log/munge
chmod 400 /etc/munge/munge.key
chmod 755 /run/munge
pgrep -x munged > /dev/null || su -s /bin/sh munge -c /usr/sbin/munged
cat > /etc/slurm/slurm.conf <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/log/slurmctld.log
SlurmdLogFile=/var/log/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
MinJobAge=30
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(($(awk '/MemTotal/ {print $2}' /proc/meminfo) / 1100)) State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
pgrep -x slurmctld > /dev/null || slurmctld
sleep 1
pgrep -x slurmd > /dev/null || slurmd
for _ in $(seq 30); do
    sinfo --noheader --format=%t 2> /dev/null | grep -q idle && { sinfo; exit 0; }
    sleep 1
done
sinfo || true
echo "the node did not become idle; see /var/log/slurmctld.log and /var/log/slurmd.log" >&2
exit 1
