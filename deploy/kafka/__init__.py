"""A real Apache Kafka as plain Java programs: its jars, brokers, tools and MirrorMaker 2."""
