"""Files of object stores, web servers and HDFS: reading through a local cache, and writing."""
