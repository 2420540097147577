import Support

/// What the tables of one FlatBuffer share while they are read: their address and how much may still be visited.
///
/// Offsets may lead several times to the same table or string, so a small buffer can spell an enormous tree. Each table
/// of an honest one is reached through an offset of its own of 4 bytes, and its strings lie side by side.
private final class FlatBudget {
    let address: Address
    private var tables: Int
    private var stringBytes: Int

    init(bytes: Int, address: Address) {
        self.address = address
        tables = bytes / 4
        // Writers that share equal strings are let off up to a factor.
        stringBytes = bytes < 1 << 40 ? 4 * bytes + 4096 : bytes
    }

    func takeTable() throws(ArrowError) {
        guard tables > 0 else { throw address.error(.damaged, "the metadata has more tables than bytes for them") }
        tables -= 1
    }

    func takeString(_ count: Int) throws(ArrowError) {
        guard count <= stringBytes else {
            throw address.error(.damaged, "the metadata has more text than bytes for it")
        }
        stringBytes -= count
    }
}

/// A table in a FlatBuffer from a file: every offset is checked before it is followed.
struct FlatTable {
    private let bytes: UntrustedBytes
    private let position: Int
    private let size: Int
    private let vtable: Int
    private let vtableSize: Int
    private let budget: FlatBudget?

    /// The address for errors about this table's content.
    let address: Address

    /// The root table of a buffer.
    ///
    /// Who visits a fixed number of tables and no strings needs no budget, and so no memory of the heap.
    static func root(
        of bytes: UntrustedBytes, address: Address, hasBudget: Bool = true
    ) throws(ArrowError) -> FlatTable {
        guard let offset = bytes.load(UInt32.self, at: 0) else {
            throw address.error(.truncated, "metadata of \(bytes.count) bytes have no room for a table")
        }
        let budget = hasBudget ? FlatBudget(bytes: bytes.count, address: address) : nil
        return try FlatTable(bytes: bytes, position: Int(offset), address: address, budget: budget)
    }

    private init(
        bytes: UntrustedBytes, position: Int, address: Address, budget: FlatBudget?
    ) throws(ArrowError) {
        try budget?.takeTable()
        // Positions come from 32-bit offsets added to places inside the bytes: these sums cannot overflow.
        guard let back = bytes.load(Int32.self, at: position),
            let vtableSize = bytes.load(UInt16.self, at: position - Int(back)),
            let size = bytes.load(UInt16.self, at: position - Int(back) + 2),
            vtableSize >= 4, size >= 4,
            bytes.slice(at: position - Int(back), length: Int(vtableSize)) != nil,
            bytes.slice(at: position, length: Int(size)) != nil
        else {
            throw address.error(.damaged, "a table of the metadata leads outside its \(bytes.count) bytes")
        }
        self.address = address
        self.bytes = bytes
        self.position = position
        self.size = Int(size)
        self.vtable = position - Int(back)
        self.vtableSize = Int(vtableSize)
        self.budget = budget
    }

    private func outside(_ slot: Int) -> ArrowError {
        address.error(.damaged, "slot \(slot) of a table of the metadata leads outside it")
    }

    /// The place of a slot's bytes, or nil if the slot is empty.
    private func place(_ slot: Int, size needed: Int) throws(ArrowError) -> Int? {
        let entry = 4 + 2 * slot
        guard entry + 2 <= vtableSize else { return nil }
        guard let offset = bytes.load(UInt16.self, at: vtable + entry) else { throw outside(slot) }
        guard offset != 0 else { return nil }
        guard offset >= 4, Int(offset) + needed <= size else { throw outside(slot) }
        return position + Int(offset)
    }

    /// A number, or the default that an empty slot stands for.
    func integer<Number: FixedWidthInteger>(_ slot: Int, default standard: Number) throws(ArrowError) -> Number {
        guard let place = try place(slot, size: MemoryLayout<Number>.size) else { return standard }
        guard let value = bytes.load(Number.self, at: place) else { throw outside(slot) }
        return value
    }

    /// Where the offset in a slot leads, which is somewhere inside the bytes; nil if the slot is empty.
    private func target(_ slot: Int) throws(ArrowError) -> Int? {
        guard let place = try place(slot, size: 4) else { return nil }
        return try follow(place, slot)
    }

    private func follow(_ place: Int, _ slot: Int) throws(ArrowError) -> Int {
        guard let offset = bytes.load(UInt32.self, at: place), place + Int(offset) < bytes.count else {
            throw outside(slot)
        }
        return place + Int(offset)
    }

    /// A table, or nil if the slot is empty.
    func table(_ slot: Int) throws(ArrowError) -> FlatTable? {
        guard let target = try target(slot) else { return nil }
        return try FlatTable(bytes: bytes, position: target, address: address, budget: budget)
    }

    /// The bytes of a vector's elements, or nil if the slot is empty.
    private func vector(_ slot: Int, elementSize: Int) throws(ArrowError) -> (start: Int, count: Int)? {
        guard let target = try target(slot) else { return nil }
        guard let count = bytes.load(UInt32.self, at: target),
            bytes.slice(at: target + 4, length: Int(count) * elementSize) != nil
        else {
            throw address.error(.damaged, "a vector of the metadata is longer than its \(bytes.count) bytes")
        }
        return (target + 4, Int(count))
    }

    /// The tables of a vector; none if the slot is empty.
    func tables(_ slot: Int) throws(ArrowError) -> [FlatTable] {
        guard let (start, count) = try vector(slot, elementSize: 4) else { return [] }
        var tables: [FlatTable] = []
        for index in 0..<count {
            tables.append(
                try FlatTable(
                    bytes: bytes, position: try follow(start + 4 * index, slot), address: address, budget: budget))
        }
        return tables
    }

    /// The structs of a vector, `size` bytes each; none if the slot is empty.
    func structs(_ slot: Int, size: Int) throws(ArrowError) -> UntrustedBytes {
        guard let (start, count) = try vector(slot, elementSize: size),
            let slice = bytes.slice(at: start, length: count * size)
        else { return UntrustedBytes(UnsafeRawBufferPointer(start: nil, count: 0)) }
        return slice
    }

    /// A text, or nil if the slot is empty. Bytes that are not UTF-8 are repaired.
    func string(_ slot: Int) throws(ArrowError) -> String? {
        guard let (start, count) = try vector(slot, elementSize: 1) else { return nil }
        try budget?.takeString(count)
        guard let slice = bytes.slice(at: start, length: count) else { throw outside(slot) }
        return String(decoding: slice.bytes, as: UTF8.self)
    }
}
