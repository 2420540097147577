/// Throws where the number of jets, their offsets or their slots make no sense.
func checkBatch(
    rows: Int, offsets: UnsafePointer<Int32>? = nil, slots: UnsafePointer<Int32>? = nil
) throws(LoaderError) {
    guard rows >= 0 else {
        throw LoaderError(.feature, place: "rows", message: "are \(rows), expected a number of jets")
    }
    // Sign bits are gathered without a branch: this runs for every batch.
    if let offsets {
        var wrong = offsets[0]
        for row in 0..<rows { wrong |= offsets[row + 1] | (offsets[row + 1] &- offsets[row]) }
        if wrong < 0 {
            throw LoaderError(
                .feature, place: "offsets", message: "are negative or decrease; expected where each jet begins")
        }
    }
    if let slots {
        var wrong: Int32 = 0
        for row in 0..<rows { wrong |= slots[row] }
        if wrong < 0 { throw LoaderError(.feature, place: "slots", message: "are negative; expected output rows") }
    }
}
