import Shards

/// What exact order keeps in memory: its rows lie anywhere, so record batches stay there once they were decompressed.
enum ExactMemory {
    /// Refuses order that needs more memory than it may have. Shards are looked at only if it would be too much for all.
    /// - Throws: `LoaderError` with code `options` and the numbers; what looking at shards throws.
    static func check(_ parts: [DatasetPart], limit: Int) throws {
        guard parts.reduce(0, { $0 + need(of: $1) { _ in true }.bytes }) > limit else { return }
        var kept = (batches: 0, bytes: 0)
        for part in parts {
            let reader = try ColumnReader(
                dataset: part.dataset, columns: part.selection.stored.columns.map(\.number), checksDigests: false,
                maps: part.maps)
            var columns = MappedColumns()
            // Only a look at it tells whether a record batch can be used where it lies; those of a shard are alike.
            let found = try need(of: part) { try !reader.map($0, into: &columns) }
            kept = (kept.batches + found.batches, kept.bytes + found.bytes)
        }
        guard kept.bytes > limit else { return }
        throw LoaderError(
            .options, file: parts[0].dataset.directory, place: "exact order",
            message: "keeps the decompressed columns of \(kept.batches) record batches in memory, "
                + "\(kept.bytes) bytes, but may have \(limit)",
            advice:
                "take windows in place of exact order, convert with '--codec none', ask for fewer columns, or raise "
                + "exactLimit")
    }

    /// Record batches with rows that take part, in shards that are kept, and the bytes of their columns.
    private static func need(
        of part: DatasetPart, isKept: (_ firstBatch: Int) throws -> Bool
    ) rethrows -> (batches: Int, bytes: Int) {
        var sum = (batches: 0, bytes: 0), last: (shard: Int, isKept: Bool)?
        for batch in part.rows.indices where part.rows[batch] > 0 {
            let shard = part.dataset.shardNumber(ofBatch: batch), record = part.dataset.record(ofBatch: batch)
            if last?.shard != shard { last = (shard, try isKept(batch)) }
            guard last?.isKept == true else { continue }
            sum.batches += 1
            // Exceptions are so few that they do not matter.
            sum.bytes += part.selection.stored.byteCount(
                rows: record.rows, constituents: record.constituents, exceptions: 0)
        }
        return sum
    }
}
