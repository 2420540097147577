import Loader

/// Jets in memory as columns.
struct SampleJets {
    var px: [Float] = [], py: [Float] = [], pz: [Float] = [], energy: [Float] = [], pdgId: [Float] = []
    var spans: [JetSpan] = []

    /// Adds a jet from px, py, pz, E, and codes if there are any.
    mutating func append(_ columns: [[Float]]) {
        spans.append(JetSpan(start: px.count, count: columns[0].count, axis: spans.count))
        px += columns[0]
        py += columns[1]
        pz += columns[2]
        energy += columns[3]
        pdgId += columns.count > 4 ? columns[4] : columns[0].map { _ in 211 }
    }

    /// The columns with momenta and codes.
    func withInput(_ body: (FeatureInput) throws -> Void) rethrows {
        try px.withUnsafeBufferPointer { px in
            try py.withUnsafeBufferPointer { py in
                try pz.withUnsafeBufferPointer { pz in
                    try energy.withUnsafeBufferPointer { energy in
                        try pdgId.withUnsafeBufferPointer { codes in
                            var input = FeatureInput()
                            input.px = px.baseAddress
                            input.py = py.baseAddress
                            input.pz = pz.baseAddress
                            input.energy = energy.baseAddress
                            input.fields = [codes.baseAddress]
                            try body(input)
                        }
                    }
                }
            }
        }
    }

    /// A padded batch of all jets, in memory that was not clean before.
    func padded(_ assembler: FeatureAssembler) throws -> (values: [Float], mask: [UInt8]) {
        let slots = spans.count * assembler.configuration.padLength
        var values = [Float](repeating: -77, count: slots * assembler.configuration.features.count)
        var mask = [UInt8](repeating: 9, count: slots)
        try withInput { try assembler.assemble($0, jets: spans, values: &values, mask: &mask) }
        return (values, mask)
    }

    /// A jagged batch of all jets.
    func jagged(_ assembler: FeatureAssembler) throws -> (values: [Float], offsets: [Int32]) {
        var values = [Float](repeating: -77, count: px.count * assembler.configuration.features.count)
        var offsets = [Int32](repeating: 0, count: spans.count + 1)
        try withInput { try assembler.assembleJagged($0, jets: spans, values: &values, offsets: &offsets) }
        return (values, offsets)
    }
}
