"""The EBS direct APIs that read: ListSnapshotBlocks, ListChangedBlocks and GetSnapshotBlock."""
