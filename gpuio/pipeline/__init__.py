"""From records to batches: order, plan, execution, assembly."""
