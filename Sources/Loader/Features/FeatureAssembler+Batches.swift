import Kernels

extension FeatureAssembler {
    /// Writes jets that lie one after the other into a padded batch, without a heap allocation.
    ///
    /// - Parameters:
    ///   - rows: How many jets.
    ///   - offsets: rows + 1 numbers: jet j has the constituents offsets[j] ..< offsets[j + 1] of the input's columns.
    ///   - slots: The row of the output that each jet goes to, for batches from several sources; nil: the same order.
    ///     No two jets may have the same. The caller answers for the room.
    ///   - values: `[rows, padLength, features]` float32, row-major; places without a constituent become 0.
    ///   - mask: `[rows, padLength]`, 1 where there is a constituent.
    /// - Throws: `LoaderError` with code `feature` if columns are missing, or offsets or slots make no sense.
    public func assemble(
        _ input: FeatureInput, rows: Int, offsets: UnsafePointer<Int32>, slots: UnsafePointer<Int32>? = nil,
        values: UnsafeMutablePointer<Float>, mask: UnsafeMutablePointer<UInt8>
    ) throws(LoaderError) {
        try check(input)
        try checkBatch(rows: rows, offsets: offsets, slots: slots)
        guard rows > 0 else { return }
        var batch = pando_feature_batch()
        batch.jets = rows
        batch.offsets = offsets
        batch.slots = slots
        batch.values = values
        batch.mask = mask
        run(input, &batch, jets: rows)
    }

    /// Writes jets that lie one after the other into a jagged batch, without a heap allocation: what the padded one
    /// holds, without gaps.
    ///
    /// - Parameters:
    ///   - rows: How many jets.
    ///   - offsets: rows + 1 numbers: jet j has the constituents offsets[j] ..< offsets[j + 1] of the input's columns.
    ///   - values: Room for `[sum of min(count, padLength), features]` float32.
    ///   - outputOffsets: rows + 1 numbers; the first is read (where this batch begins in `values`), the others are
    ///     written.
    /// - Returns: The last offset.
    /// - Throws: `LoaderError` with code `feature` if columns are missing or offsets make no sense.
    @discardableResult
    public func assembleJagged(
        _ input: FeatureInput, rows: Int, offsets: UnsafePointer<Int32>, values: UnsafeMutablePointer<Float>,
        outputOffsets: UnsafeMutablePointer<Int32>
    ) throws(LoaderError) -> Int {
        try check(input)
        try checkBatch(rows: rows, offsets: offsets, slots: nil)
        let first = Int(outputOffsets[0])
        guard first >= 0, first + Int(offsets[rows] - offsets[0]) <= Int(Int32.max) else {
            throw LoaderError(
                .feature, place: "output offsets",
                message: "the batch begins at row \(first); expected rows from 0 to 2^31 - 1")
        }
        guard rows > 0 else { return first }
        var batch = pando_feature_batch()
        batch.jets = rows
        batch.offsets = offsets
        batch.values = values
        batch.row = first
        batch.ends = outputOffsets + 1
        return run(input, &batch, jets: rows)
    }

    /// Runs the kernel; the caller has set all that differs between the faces.
    @discardableResult
    func run(_ input: FeatureInput, _ batch: inout pando_feature_batch, firstJet: Int = 0, jets: Int) -> Int {
        batch.length = configuration.padLength
        switch configuration.axis {
        case .constituents: break
        case .puppi: batch.weight = input.puppiWeight
        case .stored:
            batch.jet_pt = input.jetPt.map { $0 + firstJet }
            batch.jet_eta = input.jetEta.map { $0 + firstJet }
            batch.jet_phi = input.jetPhi.map { $0 + firstJet }
        }
        let kernels = constituents.kernels, edges = constituents.edges
        return input.withKernelInput { columns in
            guard let axes = input.axes else {
                return pando_features_batch(kernels, kernels.count, edges, &columns, &batch)
            }
            return (axes + firstJet).withMemoryRebound(to: pando_jet_axis.self, capacity: jets) { axes in
                batch.axes = axes
                return pando_features_batch(kernels, kernels.count, edges, &columns, &batch)
            }
        }
    }

    /// Whether all columns are there that the features need.
    func check(_ input: FeatureInput) throws(LoaderError) {
        let axes = needs.contains(.axis) && input.axes == nil
        let sums = axes && !needs.contains(.storedAxis)
        let cartesian = input.px != nil && input.py != nil && input.pz != nil
        let angular = input.pt != nil && input.eta != nil && input.phi != nil
        let fields = constituents.fields
        guard
            (sums || needs.contains(.momenta)) && !cartesian && !angular
                || (sums || needs.contains(.energy)) && input.energy == nil && !(angular && input.mass != nil)
                || axes && needs.contains(.puppiWeight) && input.puppiWeight == nil
                || axes && needs.contains(.storedAxis)
                    && (input.jetPt == nil || input.jetEta == nil || input.jetPhi == nil)
                || fields.indices.contains(where: { !input.hasField($0) })
        else { return }
        var missing: [String] = []
        if sums || needs.contains(.momenta), !cartesian, !angular { missing.append("px, py, pz or pt, eta, phi") }
        if sums || needs.contains(.energy), input.energy == nil, !(angular && input.mass != nil) {
            missing.append("energy, or mass beside pt, eta, phi")
        }
        if axes, needs.contains(.puppiWeight), input.puppiWeight == nil { missing.append("puppiWeight") }
        if axes, needs.contains(.storedAxis), input.jetPt == nil || input.jetEta == nil || input.jetPhi == nil {
            missing.append("jet_pt, jet_eta, jet_phi")
        }
        for (number, name) in fields.enumerated() where !input.hasField(number) { missing.append(name) }
        throw LoaderError(
            .feature, place: "input", message: "columns are missing: \(missing.joined(separator: "; "))")
    }
}
