import ArrowIPC
import CDeflate
import Foundation
import HDF5File
import ROOTFile
import Shards
import Support

/// An input whose needed baskets are known.
protocol BareMeasured {
    /// All baskets that a conversion must decode, each once.
    func bareDecoding() throws -> BareDecoding
}

/// What cannot be avoided: decompressing every chunk of the inputs, or the baskets of ROOT files that are needed, each once; and
/// compressing the buffers of the shards. Nothing else.
struct BareCost {
    /// A chunk of an input and what it becomes.
    private struct Chunk {
        var input: Int
        var address: Int
        var stored: Int
        /// Bytes after inflating; nil for chunks that are stored plainly.
        var inflated: Int?
    }

    /// What a pass took and how much it worked on.
    struct Pass: Sendable {
        var time = StageTimes.Time()
        var bytesIn = 0
        var bytesOut = 0

        mutating func add(_ other: Pass) {
            time.add(other.time)
            bytesIn += other.bytesIn
            bytesOut += other.bytesOut
        }
    }

    private let files: [InputFile]
    private let chunks: [Chunk]
    /// The baskets of each input that is a ROOT file.
    private let trees: [BareDecoding]
    private let dataset: Dataset
    private let compression: BodyCompression

    /// Looks up the chunks of the inputs; `dataset` is what they were converted to.
    init(inputs: [String], schema: SourceSchema, options: ConversionOptions, dataset: Dataset) throws {
        var chunks: [Chunk] = [], trees: [BareDecoding] = []
        for (number, path) in inputs.enumerated() {
            guard schema.format == .hdf5 else {
                if let source = try schema.open(path, options.selection) as? any BareMeasured {
                    trees.append(try source.bareDecoding())
                }
                continue
            }
            let file = try HDF5File(path: path)
            for described in schema.datasets {
                chunks += try Self.chunks(of: file.dataset(described.path), input: number)
            }
        }
        files = try inputs.map { try InputFile(path: $0) }
        self.chunks = chunks
        self.trees = trees
        self.dataset = dataset
        compression = options.compression(of: schema)
    }

    private static func chunks(of dataset: HDF5Dataset, input: Int) throws -> [Chunk] {
        let elementBytes = dataset.info.element.byteCount ?? 1
        let bytes = (dataset.info.chunkShape ?? []).reduce(elementBytes, *)
        let filters = dataset.info.filters.map(\.id)
        guard filters.isEmpty || filters == [1], let found = try dataset.chunks() else {
            throw ConvertError(
                .input, file: dataset.file.path, place: "dataset \(dataset.info.path)",
                message: "is not made of chunks that are stored plainly or deflated: its bare cost is not measured")
        }
        return try found.map { chunk in
            guard let address = chunk.address else {
                throw ConvertError(
                    .input, file: dataset.file.path, place: "dataset \(dataset.info.path)",
                    message: "only libhdf5 knows where its chunks are: its bare cost is not measured")
            }
            let isPlain = filters.isEmpty || chunk.filterMask & 1 == 1
            return Chunk(input: input, address: address, stored: chunk.storedBytes, inflated: isPlain ? nil : bytes)
        }
    }

    /// Reads and decodes every basket.
    private func decode(threads: Int) throws -> Pass {
        let total = Monitor(Pass()), trees = trees
        // Neighbouring baskets to one thread.
        let parts = 16 * threads, next = Monitor(0)
        try WorkerThreads.run(threads) { _ in
            let worker = BareDecoding.Worker()
            var pass = Pass()
            let start = StageTimes.Time.ofThread
            while let part = next.update({ $0 < parts ? ($0, $0 += 1).0 : nil }) {
                for tree in trees {
                    let range = BatchPlan.share(tree.count, part, parts)..<BatchPlan.share(tree.count, part + 1, parts)
                    let done = try worker.run(tree, baskets: range, copyingTo: .none)
                    pass.bytesIn += done.stored
                    pass.bytesOut += done.decoded
                }
            }
            pass.time = StageTimes.Time.ofThread.since(start)
            total.update { $0.add(pass) }
        }
        return total.read { $0 }
    }

    /// Reads and inflates every chunk.
    func inflate(threads: Int) throws -> Pass {
        guard trees.isEmpty else { return try decode(threads: threads) }
        let total = Monitor(Pass())
        // Neighbouring chunks to one thread, as a conversion reads them.
        let parts = 16 * threads
        let next = Monitor(0)
        try WorkerThreads.run(threads) { _ in
            let stored = AlignedBuffer(), target = AlignedBuffer()
            let decompressor = libdeflate_alloc_decompressor()
            defer { libdeflate_free_decompressor(decompressor) }
            var pass = Pass()
            let start = StageTimes.Time.ofThread
            while let part = next.update({ $0 < parts ? ($0, $0 += 1).0 : nil }) {
                let range = BatchPlan.share(chunks.count, part, parts)..<BatchPlan.share(chunks.count, part + 1, parts)
                for chunk in chunks[range] {
                    stored.reserve(chunk.stored)
                    try files[chunk.input].read(
                        at: chunk.address, into: UnsafeMutableRawBufferPointer(start: stored.base, count: chunk.stored))
                    pass.bytesIn += chunk.stored
                    pass.bytesOut += chunk.inflated ?? chunk.stored
                    guard let size = chunk.inflated else { continue }
                    target.reserve(size)
                    let result = libdeflate_zlib_decompress(
                        decompressor, stored.base, chunk.stored, target.base, size, nil)
                    guard result == LIBDEFLATE_SUCCESS else {
                        throw ConvertError(
                            .input, file: files[chunk.input].path, place: "byte \(chunk.address)",
                            message: "a chunk does not inflate")
                    }
                }
            }
            pass.time = StageTimes.Time.ofThread.since(start)
            total.update { $0.add(pass) }
        }
        return total.read { $0 }
    }

    /// Compresses every buffer of the shards; decoding them before is not counted.
    func compress(threads: Int) throws -> Pass {
        let total = Monitor(Pass())
        let next = Monitor(0)
        try WorkerThreads.run(threads) { _ in
            let frames: ZstdFrames, target = AlignedBuffer()
            if case .zstd(let level) = compression {
                frames = try ZstdFrames(level: level)
            } else {
                frames = try .tuned()
            }
            let reader = dataset.makeReader(), decoder = BodyDecoder()
            var pass = Pass()
            while let number = next.update({ $0 < dataset.batchCount ? ($0, $0 += 1).0 : nil }) {
                let buffers = try Self.buffers(of: reader.read(number), decoder)
                let start = StageTimes.Time.ofThread
                for (memory, count, type) in buffers {
                    pass.bytesIn += count
                    target.reserve(ZstdFrames.bound(count))
                    pass.bytesOut += try frames.compress(
                        memory.bytes(count), as: type,
                        to: UnsafeMutableRawBufferPointer(start: target.base, count: target.capacity))
                }
                pass.time.add(StageTimes.Time.ofThread.since(start))
            }
            total.update { $0.add(pass) }
        }
        return total.read { $0 }
    }

    /// The buffers of a record batch, each once, decoded.
    private static func buffers(
        of batch: RecordBatch, _ decoder: BodyDecoder
    ) throws -> [(memory: AlignedBuffer, count: Int, type: ArrowType?)] {
        var seen: Set<Int> = []
        var buffers: [(AlignedBuffer, Int, ArrowType?)] = []
        for index in batch.schema.fields.indices {
            let column = try batch.column(index)
            var type: ArrowType? = batch.schema.fields[index].type
            if case .list(let element)? = type { type = element }
            for (buffer, type) in [(column.offsets, nil), (column.values, type)] {
                guard let buffer, buffer.byteCount > 0,
                    seen.insert(buffer.storedRange.lowerBound).inserted
                else { continue }
                let memory = AlignedBuffer(capacity: buffer.byteCount)
                try batch.decode(
                    buffer, into: UnsafeMutableRawBufferPointer(start: memory.base, count: buffer.byteCount),
                    using: decoder)
                buffers.append((memory, buffer.byteCount, type))
            }
        }
        return buffers
    }
}
