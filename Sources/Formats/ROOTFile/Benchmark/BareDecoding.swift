import CDeflate
import CLZ4
import CLZMA
import CXXHash
import CZstd
import Glibc
import Kernels
import Support

/// What reading cannot do without: decoding the baskets of some columns, and one copy of their values that swaps bytes.
///
/// Nothing is checked but the codecs' results, and nothing else is done: this is the measure for reading, no way to read.
/// Sendable: it only says where baskets are; each thread has a `Worker`.
public struct BareDecoding: Sendable {
    /// Where values are copied to.
    public enum Target: Sendable {
        /// Nowhere.
        case none
        /// Into memory that is taken for them, as results of reading everything at once take theirs: the system must clear it.
        case fresh
        /// Into memory that has been used before, as results of reading in stretches do.
        case used
    }

    /// Seconds that parts of a pass took, and what went through.
    public struct Pass: Codable, Sendable {
        /// Reading stored bytes from the file.
        public var read = 0.0
        /// The codec, of LZ4 with the checksum of its block.
        public var decode = 0.0
        /// Copying values with their bytes swapped.
        public var copy = 0.0
        /// Bytes as stored.
        public var stored = 0
        /// Bytes decoded.
        public var decoded = 0

        /// Nothing yet.
        public init() {}

        /// Adds another pass.
        public mutating func add(_ other: Pass) {
            read += other.read
            decode += other.decode
            copy += other.copy
            stored += other.stored
            decoded += other.decoded
        }
    }

    /// A basket in the file.
    private struct Basket: Sendable {
        var column: Int
        var place: Int
        var size: Int
        var headerBytes: Int
        var payloadBytes: Int
        /// Bytes of values.
        var values: Int
    }

    private let file: InputFile
    private let baskets: [Basket]
    /// Of each column, bytes of a value and of all values in baskets.
    private let widths: [Int]
    private let bytes: [Int]
    /// How many columns there are with those that count.
    public var columnCount: Int { widths.count }
    /// How many baskets there are.
    public var count: Int { baskets.count }

    /// Looks up the baskets of columns and of those that count them, each once. Those in the tree's record are left out.
    /// - Throws: `ROOTError` if the header of a basket cannot be read.
    public init(_ columns: [ROOTColumn], of tree: ROOTTree) throws(ROOTError) {
        file = tree.file.input
        var baskets: [Basket] = [], widths: [Int] = [], bytes: [Int] = [], seen: Set<Int> = []
        for column in columns + columns.flatMap(\.counters) where seen.insert(column.slot).inserted {
            let table = column.baskets
            var all = 0
            for number in table.places.indices {
                let place = table.places[number], size = table.sizes[number]
                let key = try Self.key(file, place, size)
                baskets.append(
                    Basket(
                        column: widths.count, place: place, size: size, headerBytes: key.headerBytes,
                        payloadBytes: key.payloadBytes, values: key.end - key.headerBytes))
                all += key.end - key.headerBytes
            }
            widths.append(column.diskWidth)
            bytes.append(all)
        }
        self.baskets = baskets
        self.widths = widths
        self.bytes = bytes
    }

    private static func key(_ file: InputFile, _ place: Int, _ size: Int) throws(ROOTError) -> BasketKey {
        let head: [UInt8]
        do throws(SystemError) { head = try file.read(at: place, count: min(size, 1024)) } catch {
            throw ROOTError(error)
        }
        return try withBytes(of: head) { bytes throws(ROOTError) in
            var cursor = ByteCursor(bytes, from: .file(place))
            return try BasketKey(&cursor)
        }
    }

    /// Decodes all baskets, one after the other.
    public func run(copyingTo target: Target) throws(ROOTError) -> Pass {
        try Worker().run(self, baskets: 0..<count, copyingTo: target)
    }

    /// Contexts and memory of one thread.
    public final class Worker {
        private let deflate = libdeflate_alloc_decompressor()
        private let zstd = ZSTD_createDCtx()
        private let stored = AlignedBuffer(), content = AlignedBuffer(), ring = AlignedBuffer()
        private var place = 0
        /// More than fits into caches, and than results of a stretch take.
        private static let ringBytes = 32 << 20

        /// Contexts for one thread.
        public init() {}

        deinit {
            libdeflate_free_decompressor(deflate)
            ZSTD_freeDCtx(zstd)
        }

        /// Decodes some baskets.
        public func run(_ work: BareDecoding, baskets: Range<Int>, copyingTo target: Target) throws(ROOTError) -> Pass {
            var pass = Pass(), column = -1, filled = 0
            // Results stay until the end, as those of reading do.
            var results: [AlignedBuffer] = []
            if target == .used { makeRing() }
            for basket in work.baskets[baskets] {
                let start = Self.seconds
                stored.reserve(basket.size)
                let record = UnsafeMutableRawBufferPointer(start: stored.base, count: basket.size)
                do throws(SystemError) { try work.file.read(at: basket.place, into: record) } catch {
                    throw ROOTError(error)
                }
                let ready = Self.seconds
                var values = UnsafeRawPointer(stored.base + basket.headerBytes)
                if ROOTDecoder.isCompressed(stored: basket.size - basket.headerBytes, count: basket.payloadBytes) {
                    content.reserve(basket.payloadBytes)
                    try decode(UnsafeRawBufferPointer(rebasing: record[basket.headerBytes...]), basket.payloadBytes)
                    values = UnsafeRawPointer(content.base)
                }
                let decoded = Self.seconds
                let width = work.widths[basket.column] == 3 ? 1 : work.widths[basket.column]
                switch target {
                case .none: break
                case .fresh:
                    if basket.column != column {
                        column = basket.column
                        results.append(AlignedBuffer(capacity: work.bytes[column]))
                        filled = 0
                    }
                    guard let result = results.last else { break }
                    pando_root_swap(result.base + filled, values, basket.values / width, width)
                    filled += basket.values
                case .used:
                    if place + basket.values > ring.capacity { place = 0 }
                    ring.reserve(basket.values)
                    pando_root_swap(ring.base + place, values, basket.values / width, width)
                    place += basket.values
                }
                pass.read += ready - start
                pass.decode += decoded - ready
                pass.copy += Self.seconds - decoded
                pass.stored += basket.size
                pass.decoded += basket.payloadBytes
            }
            return withExtendedLifetime(results) { pass }
        }

        private func makeRing() {
            guard ring.capacity < Self.ringBytes else { return }
            ring.reserve(Self.ringBytes)
            ring.base.initializeMemory(as: UInt8.self, repeating: 1, count: Self.ringBytes)
        }

        private static var seconds: Double {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
        }

        private func decode(_ payload: UnsafeRawBufferPointer, _ count: Int) throws(ROOTError) {
            var read = 0, written = 0
            while written < count {
                let block = try CompressedBlock(at: read, of: payload)
                let input = block.content, output = content.base + written
                var outcome = false
                switch block.codec {
                case .zlib:
                    let result = libdeflate_zlib_decompress(
                        deflate, input.baseAddress, input.count, output, block.size, nil)
                    outcome = result == LIBDEFLATE_SUCCESS
                case .old:
                    let result = libdeflate_deflate_decompress(
                        deflate, input.baseAddress, input.count, output, block.size, nil)
                    outcome = result == LIBDEFLATE_SUCCESS
                case .lz4:
                    guard let base = input.baseAddress, input.count > 8 else { break }
                    let sum = XXH64(base + 8, input.count - 8, 0)
                    let many = LZ4_decompress_safe(
                        (base + 8).assumingMemoryBound(to: CChar.self), output.assumingMemoryBound(to: CChar.self),
                        Int32(truncatingIfNeeded: input.count - 8), Int32(truncatingIfNeeded: block.size))
                    outcome =
                        sum == UInt64(bigEndian: base.loadUnaligned(as: UInt64.self)) && Int(many) == block.size
                case .zstd:
                    outcome =
                        ZSTD_decompressDCtx(zstd, output, block.size, input.baseAddress, input.count) == block.size
                case .lzma:
                    var memory = UInt64.max, used = 0, made = 0
                    let result = lzma_stream_buffer_decode(
                        &memory, 0, nil, input.baseAddress?.assumingMemoryBound(to: UInt8.self), &used, input.count,
                        output.assumingMemoryBound(to: UInt8.self), &made, block.size)
                    outcome = result == LZMA_OK && made == block.size
                }
                guard outcome else { throw ROOTDecoder.fault("a block does not decode") }
                written += block.size
                read = block.end
            }
        }
    }
}
