import Kernels
import Support

/// Parity of a file: enough to mend it without its source.
///
/// The file is cut into blocks of 4 KiB (the last one filled with zeros). Block i belongs to group i mod G, with G such
/// that a group has at most 32 blocks; the parity of a group is the XOR of its blocks. A digest of each block tells
/// which ones are damaged. One damaged block a group can be made again: as neighbours are in different groups, that
/// covers any single stretch of up to G blocks, 3% of the file.
///
/// Layout, little-endian: `PANDOPAR`, u32 version 1, u32 block size, u64 file size, u64 groups; u64 digest of each
/// block; the parity blocks; u64 digest of all before.
public struct Parity: Sendable {
    /// Bytes of a block.
    public static let blockSize = 4096
    private static let blocksInGroup = 32
    private static let magic = Array("PANDOPAR".utf8)
    private static let headerSize = 32

    /// Size of the file that it guards.
    public let fileSize: Int
    private let digests: [Digest]
    private let blocks: [UInt8]

    private var groups: Int { Self.groups(fileSize: fileSize) }

    private static func blockCount(fileSize: Int) -> Int { (fileSize + blockSize - 1) / blockSize }
    private static func groups(fileSize: Int) -> Int {
        (blockCount(fileSize: fileSize) + blocksInGroup - 1) / blocksInGroup
    }

    /// Makes the parity of a file of `fileSize` bytes that `read` gives piece by piece, in order.
    /// - Parameter visit: Sees every piece too, so that other digests need no second pass.
    public static func make(
        fileSize: Int, read: (Int, UnsafeMutableRawBufferPointer) throws -> Void,
        visit: (UnsafeRawBufferPointer) -> Void = { _ in }
    ) throws -> Parity {
        let count = blockCount(fileSize: fileSize), groups = groups(fileSize: fileSize)
        var digests: [Digest] = []
        digests.reserveCapacity(count)
        var blocks = [UInt8](repeating: 0, count: groups * blockSize)
        let piece = AlignedBuffer(capacity: 256 * blockSize)
        var block = 0
        while block < count {
            let start = block * blockSize
            let length = min(256 * blockSize, fileSize - start)
            let whole = (length + blockSize - 1) / blockSize * blockSize
            try read(start, UnsafeMutableRawBufferPointer(start: piece.base, count: length))
            visit(piece.bytes(length))
            (piece.base + length).initializeMemory(as: UInt8.self, repeating: 0, count: whole - length)
            blocks.withUnsafeMutableBytes { parity in
                guard let base = parity.baseAddress else { return }
                for offset in stride(from: 0, to: whole, by: blockSize) {
                    let source = UnsafeRawBufferPointer(start: piece.base + offset, count: blockSize)
                    digests.append(Digest(of: source))
                    xor((base + block % groups * blockSize), piece.base + offset)
                    block += 1
                }
            }
        }
        return Parity(fileSize: fileSize, digests: digests, blocks: blocks)
    }

    private static func xor(_ destination: UnsafeMutableRawPointer, _ source: UnsafeRawPointer) {
        pando_xor(
            blockSize, destination.assumingMemoryBound(to: UInt8.self), source.assumingMemoryBound(to: UInt8.self))
    }

    private init(fileSize: Int, digests: [Digest], blocks: [UInt8]) {
        self.fileSize = fileSize
        self.digests = digests
        self.blocks = blocks
    }

    /// The bytes of the parity file.
    public var fileBytes: [UInt8] {
        var bytes = Self.magic
        bytes.reserveCapacity(Self.headerSize + digests.count * 8 + blocks.count + 8)
        append(UInt32(1), to: &bytes)
        append(UInt32(Self.blockSize), to: &bytes)
        append(UInt64(fileSize), to: &bytes)
        append(UInt64(groups), to: &bytes)
        for digest in digests { append(digest.value, to: &bytes) }
        bytes += blocks
        append(Digest(of: bytes).value, to: &bytes)
        return bytes
    }

    private func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// Reads a parity file.
    /// - Parameter fileSize: The size of the file that it should guard.
    /// - Throws: `DatasetError` if a byte of it is not as written.
    public init(fileBytes bytes: [UInt8], fileSize: Int, path: String) throws(DatasetError) {
        let count = Self.blockCount(fileSize: fileSize), groups = Self.groups(fileSize: fileSize)
        let expected = Self.headerSize + count * 8 + groups * Self.blockSize + 8
        guard bytes.count == expected else {
            throw DatasetError(
                .damaged, file: path,
                message: "has \(bytes.count) bytes, expected \(expected) for a file of \(fileSize)")
        }
        let end = bytes.count - 8
        let (digest, digests) = bytes.withUnsafeBytes { all in
            let untrusted = UntrustedBytes(all)
            let own = Digest(of: UnsafeRawBufferPointer(rebasing: all[..<end]))
            let digests = (0..<count).compactMap {
                untrusted.load(UInt64.self, at: Self.headerSize + 8 * $0).map(Digest.init(value:))
            }
            return (own.value == untrusted.load(UInt64.self, at: end), digests)
        }
        guard digest, digests.count == count, bytes.starts(with: Self.magic) else {
            throw DatasetError(.damaged, file: path, message: "its own digest does not fit its bytes")
        }
        self.fileSize = fileSize
        self.digests = digests
        blocks = Array(bytes[(Self.headerSize + count * 8)..<end])
    }

    /// Mends `bytes`, a damaged copy of the file. A file cut short is mended as if the missing bytes were damaged.
    /// - Returns: The numbers of the blocks that were made again, and the byte ranges that could not be.
    public func repair(_ bytes: inout [UInt8]) -> (mended: [Int], lost: [Range<Int>]) {
        if bytes.count > fileSize { bytes.removeLast(bytes.count - fileSize) }
        if bytes.count < fileSize { bytes += [UInt8](repeating: 0, count: fileSize - bytes.count) }
        var damaged: [Int: [Int]] = [:]
        for block in digests.indices where digest(of: block, in: bytes) != digests[block] {
            damaged[block % groups, default: []].append(block)
        }
        var mended: [Int] = []
        var lost: [Range<Int>] = []
        for (group, members) in damaged.sorted(by: { $0.key < $1.key }) {
            guard members.count == 1, let block = members.first else {
                lost += members.map(range)
                continue
            }
            var content = Array(blocks[(group * Self.blockSize)..<((group + 1) * Self.blockSize)])
            for other in stride(from: group, to: digests.count, by: groups) where other != block {
                for (index, byte) in bytes[range(other)].enumerated() { content[index] ^= byte }
            }
            bytes.replaceSubrange(range(block), with: content.prefix(range(block).count))
            if digest(of: block, in: bytes) == digests[block] {
                mended.append(block)
            } else {
                lost.append(range(block))
            }
        }
        return (mended.sorted(), lost.sorted { $0.lowerBound < $1.lowerBound })
    }

    private func range(_ block: Int) -> Range<Int> {
        block * Self.blockSize..<min(fileSize, (block + 1) * Self.blockSize)
    }

    private func digest(of block: Int, in bytes: [UInt8]) -> Digest {
        let range = range(block)
        if range.count == Self.blockSize {
            return bytes.withUnsafeBytes { Digest(of: UnsafeRawBufferPointer(rebasing: $0[range])) }
        }
        return Digest(of: Array(bytes[range]) + [UInt8](repeating: 0, count: Self.blockSize - range.count))
    }
}
