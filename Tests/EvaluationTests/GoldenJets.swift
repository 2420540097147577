import Evaluation
import Foundation
import SafeTensors
import TestSupport
import Testing

/// Numbers from running the original evaluation code on seeded jets: `PANDO_GOLDEN`, or beside the package.
struct GoldenJets {
    static let folder: String? = {
        let environment = ProcessInfo.processInfo.environment
        let path = (environment["PANDO_GOLDEN"] ?? Package.data.map { $0 + "/golden" } ?? "") + "/metrics"
        return FileManager.default.fileExists(atPath: path + "/substructure.safetensors") ? path : nil
    }()
    static let isThere = folder != nil
    static let comment: Comment = "there are no golden numbers of observables beside the package"

    /// The constituents of each jet.
    let jets: [TestJet]
    /// What each jet is.
    let kinds: [String]
    private let numbers: [String: [Double]]
    private let flags: [String: [Bool]]

    init() throws {
        let folder = try #require(Self.folder)
        let file = try SafeTensorsFile(path: folder + "/substructure.safetensors")
        let literature = try SafeTensorsFile(path: folder + "/nsubjettiness_literature.safetensors")
        let rows = try file.doubles("ptetaphim"), counts = try file.int64s("n")
        var at = 0
        jets = counts.map { count in
            defer { at += Int(count) }
            return TestJet(
                (at..<at + Int(count)).map { row in
                    let (pt, eta, phi, mass) = (rows[4 * row], rows[4 * row + 1], rows[4 * row + 2], rows[4 * row + 3])
                    return TestJet.momentum(pt: pt, eta: eta, phi: phi, mass: mass)
                })
        }
        let names = try #require(file.metadata["kinds"]?.data(using: .utf8))
        let table = try JSONDecoder().decode([String].self, from: names)
        kinds = try file.int64s("kind").map { table[Int($0)] }
        var numbers: [String: [Double]] = [:], flags: [String: [Bool]] = [:]
        for entry in file.entries where entry.type == .f64 { numbers[entry.name] = try file.doubles(entry.name) }
        for entry in literature.entries { numbers["literature_" + entry.name] = try literature.doubles(entry.name) }
        for entry in file.entries where entry.name.hasPrefix("order_sensitive") {
            flags[entry.name] = try file.bytes(entry.name).map { $0 != 0 }
        }
        self.numbers = numbers
        self.flags = flags
    }

    func number(_ name: String, _ jet: Int) throws -> Double { try #require(numbers[name])[jet] }

    /// Whether exact ties decide: `escheme`, `wta`, `sd`.
    func isSensitive(_ name: String, _ jet: Int) throws -> Bool {
        try #require(flags["order_sensitive_" + name])[jet]
    }
}

extension JetObserver {
    /// The observables of a jet by name.
    func named(_ jet: TestJet) throws -> [String: Double] {
        let values = try observe(px: jet.px, py: jet.py, pz: jet.pz, energy: jet.energy)
        return Dictionary(uniqueKeysWithValues: zip(observables.map(\.name), values))
    }
}
