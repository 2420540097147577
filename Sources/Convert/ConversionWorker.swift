import ArrowIPC
import Shards
import Support

/// Carries record batches from slices to finished messages. Not Sendable: one thread owns it with its memory.
final class ConversionWorker {
    private let sources: [any JetSource]
    private let cache: SliceCache
    private let skipsBadInput: Bool
    private let assembler: BatchAssembler
    private let encoder: BatchEncoder
    private let columns: JetColumns
    /// Where the thread's time goes.
    let clock = StageClock()
    private let scratch = SourceScratch()

    init(
        sources: [any JetSource], schema: SourceSchema, layout: StoredLayout, cache: SliceCache,
        options: ConversionOptions,
        metadata: [KeyValue], splits: Splits?, slots: Int
    ) throws {
        self.sources = sources
        self.cache = cache
        skipsBadInput = options.skipsBadInput
        assembler = BatchAssembler(encoding: layout.encoding, schema: schema)
        encoder = try BatchEncoder(
            layout: layout, compression: options.compression(of: schema), sharesOffsets: options.sharesOffsets,
            metadata: metadata,
            splits: splits, slots: slots, clock: clock)
        columns = JetColumns(fields: layout.encoding.fields)
    }

    /// Reads, gathers and encodes the rows of a batch.
    func encode(_ pieces: [BatchPlan.Piece]) throws -> FinishedBatch {
        let keys = pieces.flatMap { piece in
            sources[piece.input].slices.parts(of: piece.rows).map { SliceKey(input: piece.input, slice: $0.slice) }
        }
        clock.enter(.wait)
        let found = cache.values(keys) { key in
            let waiting = clock.enter(.read)
            defer { clock.enter(waiting) }
            return try sources[key.input].read(slice: key.slice, using: scratch)
        }
        clock.enter(.gather)
        defer { cache.release(keys) }
        var parts: [(rows: Range<Int>, slice: RowSlice)] = []
        var origins: [AssembledRows] = []
        var gaps: [Gap] = []
        for piece in pieces {
            for (number, rows) in sources[piece.input].slices.parts(of: piece.rows) {
                switch found[SliceKey(input: piece.input, slice: number)] {
                case .success(let slice):
                    parts.append((rows, slice))
                    origins.append(AssembledRows(input: piece.input, rows: rows))
                case .failure(let error):
                    guard skipsBadInput else { throw error }
                    let name = sources[piece.input].entry.name
                    gaps.append(Gap(input: name, firstRow: rows.lowerBound, rows: rows.count, reason: "\(error)"))
                case nil: break
                }
            }
        }
        assembler.assemble(parts, into: columns)
        var batch = try encoder.encode(columns, origins: origins)
        batch.gaps = gaps
        return batch
    }
}
