import Support

/// The baskets of a branch: which entries are where.
final class BasketTable: Sendable {
    /// A basket that lies in the tree's record.
    struct Embedded: Sendable {
        var entries: Int
        /// Its values in the record.
        var data: Range<Int>
        /// Where its entries begin, as big-endian numbers from the start of its key.
        var offsets: Range<Int>?
        /// Bytes of its key, which count in the offsets.
        var headerBytes: Int
        /// What of an offset counts: older writers kept other numbers in its first byte.
        var mask: Int32
    }

    /// The first entry of each basket, and the end of the last one's.
    let starts: [Int]
    /// Of the baskets in the file: bytes with their keys, and places.
    let sizes: [Int]
    let places: [Int]
    /// Of those behind them.
    let embedded: [Embedded]
    /// Whether baskets may hold where entries begin.
    let hasOffsets: Bool
    /// The most bytes that a basket may hold decompressed.
    let limit: Int
    /// The tree's record.
    let payload: ObjectPayload

    init(_ record: BranchRecord, of payload: ObjectPayload) throws(ROOTError) {
        self.payload = payload
        func damaged(_ message: String) -> ROOTError {
            ROOTError(.damaged, message: message, advice: ByteCursor.advice)
        }
        guard record.firstEntry == 0 else {
            throw ROOTError(.unsupported, message: "its first entry has the number \(record.firstEntry)")
        }
        let limit = min(record.finished, record.basketPlaces.count, record.basketSizes.count)
        let stored = record.basketPlaces[..<limit].firstIndex(of: 0) ?? limit
        var starts = Array(record.basketEntries.prefix(stored + 1))
        var embedded: [Embedded] = []
        // Only the end of the last basket may be missing, where the list is just as long as there are baskets.
        if starts.count == stored { starts.append(stored == 0 ? 0 : record.entries) }
        guard starts.count == stored + 1 else {
            throw damaged("\(stored) baskets, but first entries of \(record.basketEntries.count)")
        }
        if let end = starts.last, end < record.entries {
            // Some writers leave a duplicate basket where all are in the file: they are looked at only if entries are missing.
            for (number, slot) in record.embedded where number >= stored {
                let basket: Embedded
                do throws(ROOTError) { basket = try Self.embedded(slot, payload) } catch {
                    throw error.inside("basket \(number) in the tree's record")
                }
                let (end, overflow) = (starts.last ?? 0).addingReportingOverflow(basket.entries)
                guard !overflow else { throw damaged("its baskets hold more entries than can be counted") }
                embedded.append(basket)
                starts.append(end)
            }
        }
        guard starts.first == 0, zip(starts, starts.dropFirst()).allSatisfy({ $0 <= $1 }) else {
            throw damaged("the first entries of its baskets do not rise from 0")
        }
        guard starts.last == record.entries else {
            throw damaged("its baskets hold \(starts.last ?? 0) entries, it should have \(record.entries)")
        }
        if !record.fileName.isEmpty, stored > 0 {
            throw ROOTError(
                .unsupported, message: "its baskets lie in another file, '\(record.fileName)'",
                advice: "copy the tree into one file")
        }
        self.starts = starts
        self.embedded = embedded
        sizes = Array(record.basketSizes.prefix(stored))
        places = Array(record.basketPlaces.prefix(stored))
        hasOffsets = record.entryOffsetBytes != 0
        // Writers count all baskets in `totalBytes`; some do so too late for the last one.
        let most = max(0, record.totalBytes, record.basketBytes)
        self.limit = most < 1 << 40 ? 2 * most + 1 << 20 : Int(Int32.max)
    }

    /// How many baskets there are.
    var count: Int { starts.count - 1 }

    /// The address of a basket, for errors.
    func place(_ number: Int) -> String {
        guard number >= places.count else { return "basket \(number) at byte \(places[number])" }
        return "basket \(number) at byte \(embedded[number - places.count].data.lowerBound) of the record at byte "
            + "\(payload.position)"
    }

    /// Bytes that some baskets take, stored.
    /// - Throws: `ROOTError` with code `damaged` if these are more than the file has: what is read from a file is bounded by its size.
    func storedBytes(_ numbers: Range<Int>, fileSize: Int) throws(ROOTError) -> Int {
        var sum = 0
        for number in numbers {
            sum += number < sizes.count ? max(0, sizes[number]) : embedded[number - sizes.count].data.count
            guard sum <= fileSize + payload.count else {
                throw ROOTError(
                    .damaged, place: "basket \(number)",
                    message: "baskets \(numbers) take more bytes than the file has, which is \(fileSize)",
                    advice: ByteCursor.advice)
            }
        }
        return sum
    }

    /// The baskets that hold some of these entries.
    func numbers(overlapping entries: Range<Int>) -> Range<Int> {
        guard !entries.isEmpty else { return 0..<0 }
        // Empty baskets share their start with the next one; they are passed over when they are read.
        let first = Self.firstIndex(starts) { $0 > entries.lowerBound } - 1
        let end = Self.firstIndex(starts) { $0 >= entries.upperBound }
        return max(0, first)..<max(0, first, min(end, count))
    }

    private static func firstIndex(_ numbers: [Int], where isThere: (Int) -> Bool) -> Int {
        var low = 0, high = numbers.count
        while low < high {
            let middle = (low + high) / 2
            if isThere(numbers[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// A basket in the tree's record (TBasket, which has no frame).
    private static func embedded(
        _ slot: ObjectPayload.ObjectSlot, _ payload: ObjectPayload
    ) throws(ROOTError) -> Embedded {
        var cursor = try payload.cursor(slot.body)
        guard try payload.className(slot) == "TBasket" else { throw cursor.damaged("there should be a basket") }
        let key = try BasketKey(&cursor)
        let isGenerated = key.flag >= 80, flag = isGenerated ? key.flag - 80 : key.flag
        var offsets: Range<Int>?
        if !isGenerated, flag != 0, flag % 10 != 2 {
            if key.entries > 0 {
                let count = try cursor.nextInt(Int32.self)
                guard count >= key.entries, count <= cursor.left / 4 else {
                    throw cursor.damaged("offsets of \(count) entries, there are \(key.entries)")
                }
                offsets = cursor.position..<cursor.position + 4 * key.entries
                try cursor.skip(4 * count)
            }
            if flag > 40 {
                let count = try cursor.nextInt(Int32.self)
                guard count >= 0, count <= cursor.left / 4 else { throw cursor.damaged("\(count) displacements") }
                try cursor.skip(4 * count)
            }
        }
        var data = cursor.position..<cursor.position
        if flag == 1 || flag > 10 {
            guard key.end <= cursor.left, key.headerBytes <= key.end else {
                throw cursor.damaged("\(key.end) bytes of values and key, \(cursor.left) are left")
            }
            data = cursor.position + key.headerBytes..<cursor.position + key.end
            try cursor.skip(key.end)
        }
        guard cursor.left == 0 else { throw cursor.damaged("the basket should end here") }
        return Embedded(
            entries: key.entries, data: data, offsets: offsets, headerBytes: key.headerBytes,
            mask: (21..<40).contains(flag) ? 0x00ff_ffff : -1)
    }
}

/// The key of a basket, whose tail describes it.
struct BasketKey {
    var recordBytes: Int
    var payloadBytes: Int
    var headerBytes: Int
    /// The basket's own place, as it says.
    var place: Int
    var isBasket: Bool
    /// Bytes of one entry, of baskets whose entries have all one size.
    var entryBytes: Int
    /// What the writer did: bit 0, offsets that are not stored can be made from the counter.
    var features: UInt8
    var entries: Int
    /// Where the values end, counted from the key's start.
    var end: Int
    var flag: Int

    init(_ cursor: inout ByteCursor) throws(ROOTError) {
        recordBytes = try cursor.nextInt(Int32.self)
        let version = try cursor.next(Int16.self)
        payloadBytes = try cursor.nextInt(Int32.self)
        try cursor.skip(4)
        headerBytes = try cursor.nextInt(Int16.self)
        try cursor.skip(2)
        place = try cursor.nextPlace(isWide: version > 1000)
        _ = try cursor.nextPlace(isWide: version > 1000)
        isBasket = try cursor.nextTextBytes().elementsEqual("TBasket".utf8)
        _ = try cursor.nextTextBytes()
        _ = try cursor.nextTextBytes()
        try cursor.skip(6)
        let size = try cursor.nextInt(Int32.self)
        features = size < 0 ? try cursor.next(UInt8.self) : 0
        entryBytes = abs(size)
        entries = try cursor.nextInt(Int32.self)
        end = try cursor.nextInt(Int32.self)
        flag = try cursor.nextInt(UInt8.self)
        guard entries >= 0, end >= 0, headerBytes >= 0, payloadBytes >= 0 else {
            throw cursor.damaged("a basket of \(entries) entries that ends at \(end)")
        }
        guard features & ~0x81 == 0 else {
            throw ROOTError(.unsupported, message: "a basket with the features \(features)")
        }
    }
}
