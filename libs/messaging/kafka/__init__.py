"""The bus on Apache Kafka: one topic per stream, aiokafka as the client."""
