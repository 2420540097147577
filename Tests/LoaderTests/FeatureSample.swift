import Loader

/// Jets in memory as columns.
struct SampleJets {
    var px: [Float] = [], py: [Float] = [], pz: [Float] = [], energy: [Float] = [], pdgId: [Float] = []
    var spans: [JetSpan] = []
    /// If not empty, they are given instead of momenta.
    var pt: [Float] = [], eta: [Float] = [], phi: [Float] = []
    /// If not empty, they are given.
    var axes: [JetAxis] = []
    /// Weights of constituents, and jets as the source has them, if not empty.
    var weight: [Float] = [], jetPt: [Float] = [], jetEta: [Float] = [], jetPhi: [Float] = []

    /// The offsets of the jets, which lie one after the other.
    var offsets: [Int32] { [0] + spans.map { Int32($0.start + $0.count) } }

    /// Adds a jet from px, py, pz, E, and codes if there are any.
    mutating func append(_ columns: [[Float]]) {
        spans.append(JetSpan(start: px.count, count: columns[0].count, axis: spans.count))
        px += columns[0]
        py += columns[1]
        pz += columns[2]
        energy += columns[3]
        pdgId += columns.count > 4 ? columns[4] : columns[0].map { _ in 211 }
    }

    /// The columns.
    func withInput(_ body: (FeatureInput) throws -> Void) rethrows {
        var input = FeatureInput()
        // Arrays that outlive the call have memory that does not move.
        let columns = [px, py, pz, energy, pdgId, pt, eta, phi, weight, jetPt, jetEta, jetPhi].map { column in
            let memory = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(1, column.count))
            _ = memory.initialize(fromContentsOf: column)
            return memory
        }
        defer { for column in columns { column.deallocate() } }
        let pointers = columns.map { UnsafePointer($0.baseAddress) }
        if pt.isEmpty || !px.isEmpty { (input.px, input.py, input.pz) = (pointers[0], pointers[1], pointers[2]) }
        input.energy = pointers[3]
        input.fields = [pointers[4]]
        if !pt.isEmpty { (input.pt, input.eta, input.phi) = (pointers[5], pointers[6], pointers[7]) }
        if !weight.isEmpty { input.puppiWeight = pointers[8] }
        if !jetPt.isEmpty { (input.jetPt, input.jetEta, input.jetPhi) = (pointers[9], pointers[10], pointers[11]) }
        try axes.withUnsafeBufferPointer { axes in
            if !axes.isEmpty { input.axes = axes.baseAddress }
            try body(input)
        }
    }

    /// A padded batch of all jets, in memory that was not clean before.
    func padded(_ assembler: FeatureAssembler) throws -> (values: [Float], mask: [UInt8]) {
        let slots = spans.count * assembler.configuration.padLength
        var values = [Float](repeating: -77, count: slots * assembler.configuration.features.count)
        var mask = [UInt8](repeating: 9, count: slots)
        try withInput { input in try assembler.assemble(input, jets: spans, values: &values, mask: &mask) }
        return (values, mask)
    }

    /// A jagged batch of all jets.
    func jagged(_ assembler: FeatureAssembler) throws -> (values: [Float], offsets: [Int32]) {
        var values = [Float](repeating: -77, count: px.count * assembler.configuration.features.count)
        var offsets = [Int32](repeating: 0, count: spans.count + 1)
        try withInput { input in try assembler.assembleJagged(input, jets: spans, values: &values, offsets: &offsets) }
        return (values, offsets)
    }

    /// A padded batch of all jets through the face with offsets.
    func batch(_ assembler: FeatureAssembler, slots: [Int32]? = nil) throws -> (values: [Float], mask: [UInt8]) {
        let places = spans.count * assembler.configuration.padLength
        var values = [Float](repeating: -77, count: places * assembler.configuration.features.count)
        var mask = [UInt8](repeating: 9, count: places)
        try withInput { input in
            if let slots {
                try assembler.assemble(
                    input, rows: spans.count, offsets: offsets, slots: slots, values: &values, mask: &mask)
            } else {
                try assembler.assemble(input, rows: spans.count, offsets: offsets, values: &values, mask: &mask)
            }
        }
        return (values, mask)
    }

    /// A jagged batch of all jets through the face with offsets, which begins at row 3 of memory without a row too much.
    func jaggedBatch(
        _ assembler: FeatureAssembler, kept: Int
    ) throws -> (values: [Float], offsets: [Int32]) {
        let width = assembler.configuration.features.count
        var values = [Float](repeating: -77, count: (kept + 3) * width)
        var ends = [Int32](repeating: -1, count: spans.count + 1)
        ends[0] = 3
        try withInput { input in
            try assembler.assembleJagged(
                input, rows: spans.count, offsets: offsets, values: &values, outputOffsets: &ends)
        }
        return (values, ends)
    }
}
