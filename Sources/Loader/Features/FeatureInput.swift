import Kernels

/// The axis of a jet in double precision (`JetAxisDefinition` says of what).
public struct JetAxis: Sendable, Equatable {
    /// Transverse momentum in GeV.
    public var pt: Double
    /// Pseudorapidity.
    public var eta: Double
    /// Azimuth in rad, -pi to pi.
    public var phi: Double
    /// Sum of the energies of the constituents in GeV.
    public var energy: Double

    /// An axis from its parts.
    public init(pt: Double, eta: Double, phi: Double, energy: Double) {
        self.pt = pt
        self.eta = eta
        self.phi = phi
        self.energy = energy
    }
}

/// Where the constituents of one jet lie in the columns of a `FeatureInput`.
public struct JetSpan: Sendable, Equatable {
    /// The first constituent.
    public var start: Int
    /// How many there are.
    public var count: Int
    /// The number of the jet in `FeatureInput.axes`.
    public var axis: Int

    /// A span from its parts.
    public init(start: Int, count: Int, axis: Int = 0) {
        self.start = start
        self.count = count
        self.axis = axis
    }
}

/// Columns of constituents in memory: what features are computed from.
///
/// Give px, py, pz, or pt, eta, phi where the angles are exact; the latter win. The caller keeps the memory alive and
/// answers for its length; columns that the features do not need may be nil (`FeatureAssembler.needs`).
public struct FeatureInput {
    /// Momenta in GeV.
    public var px, py, pz: UnsafePointer<Float>?
    /// Energy in GeV; without it the energy follows from pt, eta and `mass`.
    public var energy: UnsafePointer<Float>?
    /// Transverse momentum in GeV, pseudorapidity, azimuth in rad.
    public var pt, eta, phi: UnsafePointer<Float>?
    /// Mass in GeV.
    public var mass: UnsafePointer<Float>?
    /// Stored fields, in the order of `FeatureAssembler.fields`.
    public var fields: [UnsafePointer<Float>?] = []
    /// The same, as many as the assembler has, in memory of the caller, which saves an array for each batch; goes before
    /// `fields`.
    public var fieldTable: UnsafePointer<UnsafePointer<Float>?>?
    /// The axes of jets; where nil, they are made as the configuration says.
    public var axes: UnsafePointer<JetAxis>?
    /// The weights of constituents in their jet's axis, for `JetAxisDefinition.puppi`.
    public var puppiWeight: UnsafePointer<Float>?
    /// Transverse momentum in GeV, pseudorapidity and azimuth in rad of the jets, for `JetAxisDefinition.stored`.
    public var jetPt, jetEta, jetPhi: UnsafePointer<Float>?

    /// An input without columns.
    public init() {}

    func hasField(_ number: Int) -> Bool {
        if let fieldTable { return fieldTable[number] != nil }
        return number < fields.count && fields[number] != nil
    }

    /// The columns as the kernel takes them.
    func withKernelInput(_ body: (inout pando_feature_input) -> Int) -> Int {
        fields.withUnsafeBufferPointer { fields in
            var input = pando_feature_input(
                px: px, py: py, pz: pz, energy: energy, pt: pt, eta: eta, phi: phi, mass: mass,
                fields: fieldTable ?? fields.baseAddress)
            return body(&input)
        }
    }
}
