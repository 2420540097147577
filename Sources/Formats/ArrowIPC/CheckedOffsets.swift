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
}
