/// The test that offsets of lists or texts have to pass before they lead anywhere.
enum CheckedOffsets {
    /// The index of the first offset that is negative or less than the one before; nil if there is none.
    ///
    /// A whole number of int32 in any alignment; at least one is expected, none has no fault.
    static func firstFault(_ offsets: UnsafeRawBufferPointer) -> Int? {
        let count = offsets.count / 4
        // A first pass without exits lets the compiler use vectors; the fault is looked for only if there is one.
        var previous: Int32 = 0
        var falls = false
        for index in 0..<count {
            let offset = Int32(littleEndian: offsets.loadUnaligned(fromByteOffset: 4 * index, as: Int32.self))
            falls = falls || offset < previous
            previous = offset
        }
        guard falls else { return nil }
        previous = 0
        return (0..<count).first { index in
            let offset = Int32(littleEndian: offsets.loadUnaligned(fromByteOffset: 4 * index, as: Int32.self))
            defer { previous = offset }
            return offset < previous
        }
    }

    /// What is wrong with decoded offsets that may lead to `limit` values; nil if nothing is.
    static func fault(_ offsets: UnsafeMutableBufferPointer<Int32>, limit: Int) -> String? {
        if let fault = firstFault(UnsafeRawBufferPointer(offsets)) {
            return "offset \(fault) is \(offsets[fault]), less than the one before or negative"
        }
        guard let last = offsets.last, Int(Int32(littleEndian: last)) <= limit else {
            return "the last offset is \(offsets.last ?? 0), but there are \(limit) values"
        }
        return nil
    }
}
