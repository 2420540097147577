import Support

extension Batch {
    /// Assembles features as padded values `[rows, padLength, features]` (row-major) and mask `[rows, padLength]`.
    ///
    /// Angles are relative to the axis of all stored constituents, summed before cuts. The batch needs the columns px, py,
    /// pz and E as far as the features do, and the stored fields that the assembler names.
    /// - Parameters:
    ///   - values: Room for `rows * padLength * features` numbers.
    ///   - mask: Room for `rows * padLength` bytes: 1 for a constituent, 0 for padding.
    /// - Throws: `LoaderError` with code `feature` if a column is missing.
    public func assemble(
        _ assembler: FeatureAssembler, values: UnsafeMutableBufferPointer<Float>,
        mask: UnsafeMutableBufferPointer<UInt8>
    ) throws(LoaderError) {
        let slots = rows * assembler.configuration.padLength
        guard values.count == slots * assembler.configuration.features.count, mask.count == slots,
            let valuesBase = values.baseAddress, let maskBase = mask.baseAddress
        else {
            if slots == 0 { return }
            throw LoaderError(
                .feature, message: "room for \(values.count) values and \(mask.count) flags does not fit \(rows) jets")
        }
        var input = FeatureInput()
        input.px = try column("px")
        input.py = try column("py")
        input.pz = try column("pz")
        if assembler.needs.contains(.energy) || assembler.needs.contains(.axis) { input.energy = try column("E") }
        input.fields = try assembler.fields.map { name throws(LoaderError) in try column(name) }
        let spans = (0..<rows).map { row in
            JetSpan(start: Int(offsets[row]), count: Int(offsets[row + 1] - offsets[row]))
        }
        try assembler.assemble(input, jets: spans, values: valuesBase, mask: maskBase)
    }

    private func column(_ name: String) throws(LoaderError) -> UnsafePointer<Float> {
        guard let values = floats(name) else {
            throw LoaderError(
                .feature, place: "column \(name)", message: "is needed by the features, but batches do not have it",
                advice: "ask the loader for it")
        }
        // A batch without constituents has memory all the same.
        guard let base = values.baseAddress else {
            throw LoaderError(.feature, place: "column \(name)", message: "has no memory")
        }
        return base
    }
}
