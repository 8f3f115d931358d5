"""The benchmarks: what the services do on this machine, beside what the bare framework does."""
