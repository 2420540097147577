import Convert
import Evaluation
import Foundation
import Loader
import Shards
import Support
import TestSupport
import Testing

/// Observables of datasets, against those of the same jets read one by one.
struct JetSampleTests {
    private func dataset(_ path: String, _ inputs: [String] = [Package.sample], schema: String = "aspen-open-jets")
        throws -> String
    {
        var options = ConversionOptions()
        (options.threads, options.batchRows, options.shardBytes) = (2, 150, 200_000)
        _ = try Converter(inputs: inputs, output: path, schema: try SourceSchema(named: schema), options: options).run()
        return path
    }

    /// A jet as the tool shows it.
    private struct SeenJet {
        var jet: TestJet
        var columns: [String: [Double]]
        var values: [String: JSONValue]
        var split: String?

        init(_ jet: Jet, momenta: [String]) {
            func number(_ value: JSONValue) -> Double {
                switch value {
                case .number(let number): number
                case .integer(let number): Double(number)
                default: .nan
                }
            }
            let columns = Dictionary(uniqueKeysWithValues: jet.constituents.map { ($0.name, $0.values.map(number)) })
            self.columns = columns
            values = Dictionary(jet.values.map { ($0.name, $0.value) }) { first, _ in first }
            split = jet.split
            let all = momenta.map { columns[$0] ?? [] }
            self.jet = TestJet((0..<jet.constituentCount).map { row in all.map { $0[row] } })
        }
    }

    private func seen(_ path: String, momenta: [String] = ["px", "py", "pz", "E"]) throws -> [SeenJet] {
        let reader = try JetReader(try Dataset(directory: path))
        var jets: [SeenJet] = []
        try reader.jets(in: 0..<reader.rowCount) { jets.append(SeenJet($0, momenta: momenta)) }
        return jets
    }

    @Test func `observables of a dataset are those of its jets, in its order, on any number of threads`() throws {
        let directory = try TemporaryDirectory(inMemory: true), path = try dataset(directory.file("a.pando"))
        let jets = try seen(path), groups = ObservableGroups.all.subtracting(.types)
        var sample = JetSample(path)
        sample.keepsConstituents = true
        sample.threads = 3
        let table = try sample.observables(groups)
        let observer = try JetObserver(groups)
        #expect(table.rows == 1727 && table.jets == Array(0..<1727) && table.counts == .init())
        for (number, jet) in jets.enumerated() {
            let expected = try observer.observe(px: jet.jet.px, py: jet.jet.py, pz: jet.jet.pz, energy: jet.jet.energy)
            let found = table.columns.map { $0.values[number].bitPattern }
            try #require(found == expected.map(\.bitPattern), "jet \(number)")
        }
        sample.threads = 1
        let other = try sample.observables(groups)
        #expect(other.columns.map { $0.values.map(\.bitPattern) } == table.columns.map { $0.values.map(\.bitPattern) })
        #expect(other.csv == table.csv)
        let constituents = try #require(table.constituents)
        #expect(constituents.offsets.last == jets.reduce(0) { $0 + $1.jet.count })
        #expect(other.constituents?.values(.phiRelative) == constituents.values(.phiRelative))
    }

    @Test func `constituents have their types, and coordinates about their jet`() throws {
        let directory = try TemporaryDirectory(inMemory: true), path = try dataset(directory.file("a.pando"))
        let jets = try seen(path)
        var sample = JetSample(path)
        sample.keepsConstituents = true
        let table = try sample.observables([.jet, .types]), constituents = try #require(table.constituents)
        let codes: [ConstituentType: Set<Double>] = [
            .chargedHadron: [211], .neutralHadron: [130, 1], .photon: [22, 2], .electron: [11], .muon: [13],
        ]
        var at = 0
        for (number, jet) in jets.enumerated() {
            let pdg = (jet.columns["pdgId"] ?? []).map(abs)
            for (type, codes) in codes {
                #expect(table["n_\(type.name)"]?.values[number] == Double(pdg.count(where: codes.contains)))
            }
            for (row, code) in pdg.enumerated() {
                let type = codes.first { $0.value.contains(code) }?.key ?? .other
                try #require(constituents.types[at + row] == type, "jet \(number), constituent \(row): \(code)")
            }
            let eta = try #require(table["jet_eta"]).values[number], phi = try #require(table["jet_phi"]).values[number]
            for row in [0, jet.jet.count - 1] {
                let pt = hypot(jet.jet.px[row], jet.jet.py[row])
                let own = asinh(jet.jet.pz[row] / pt), angle = atan2(jet.jet.py[row], jet.jet.px[row])
                func value(_ quantity: ConstituentTable.Quantity) -> Double { constituents.values(quantity)[at + row] }
                guard number % 100 == 0 else { continue }
                #expect(abs(value(.pt) / pt - 1) < 1e-14 && abs(value(.eta) - own) < 1e-13)
                #expect(abs(value(.phi) - angle) < 1e-14 && abs(value(.etaRelative) - (own - eta)) < 1e-12)
                let turns = (value(.phiRelative) - (angle - phi)) / (2 * .pi)
                #expect(abs(turns - turns.rounded()) < 1e-13 && abs(value(.phiRelative)) < 1.5)
            }
            at += jet.jet.count
        }
        #expect(constituents.count(of: .photon).map(Double.init) == table["n_photon"]?.values)
        let photons = constituents.values(.pt, of: .photon)
        #expect(photons.count == constituents.types.count { $0 == .photon } && photons.count > 10_000)
    }

    @Test func `a tokenizer's view has its cuts, its length, no masses, and the axis before cuts`() throws {
        let directory = try TemporaryDirectory(inMemory: true), path = try dataset(directory.file("a.pando"))
        let features = try FeatureConfiguration(
            [
                Feature("part_pt", function: .log, largerThan: 12, subtractBy: 1.8),
                Feature("eta_rel", largerThan: -0.3, smallerThan: 0.4, multiplyBy: 3),
                Feature("part_phirel", clipMin: -0.1, clipMax: 0.1),
                Feature("charge", smallerThan: 0.5),
            ], padLength: 9)
        var sample = JetSample(path)
        sample.view = .tokenizer(features)
        let table = try sample.observables([.jet, .nsubjettiness, .types])
        let observer = try JetObserver([.jet, .nsubjettiness])
        var empty = 0, few = 0
        for (number, jet) in try seen(path).enumerated() {
            let sum = (0..<jet.jet.count).reduce(into: [0.0, 0, 0]) { sum, row in
                sum[0] += jet.jet.px[row]
                sum[1] += jet.jet.py[row]
                sum[2] += jet.jet.pz[row]
            }
            let eta = asinh(sum[2] / hypot(sum[0], sum[1])), phi = atan2(sum[1], sum[0])
            var rows: [[Double]] = []
            for row in 0..<jet.jet.count where rows.count < 9 {
                let pt = hypot(jet.jet.px[row], jet.jet.py[row]), own = asinh(jet.jet.pz[row] / pt) - eta
                var angle = atan2(jet.jet.py[row], jet.jet.px[row]) - phi
                angle -= 2 * .pi * (angle / (2 * .pi)).rounded()
                guard pt > 12, own > -0.3, own < 0.4, (jet.columns["charge"]?[row] ?? 1) < 0.5 else { continue }
                rows.append(TestJet.momentum(pt: Double(Float(pt)), eta: Double(Float(own)), phi: Double(Float(angle))))
            }
            if rows.isEmpty { empty += 1 } else if rows.count < 3 { few += 1 }
            let expected = try observer.named(TestJet(rows))
            for name in ["jet_pt", "jet_eta", "jet_phi", "multiplicity", "tau1"] {
                let found = try #require(table[name]).values[number], number0 = try #require(expected[name])
                try #require(
                    found.isNaN && number0.isNaN || abs(found - number0) <= 3e-7 * max(1, abs(number0)),
                    "jet \(number), \(name): \(found), expected \(number0)")
            }
        }
        #expect(table.counts.empty == empty && table.counts.fewerThanThree == few && empty > 0 && few > 20)
        #expect(table["tau21"].map { $0.undefinedCount + $0.defined.count } == 1727)
        #expect(table["jet_pt"]?.undefinedCount == empty)
    }

    @Test func `a split, a limit and a label choose jets`() throws {
        let directory = try TemporaryDirectory(inMemory: true), path = try dataset(directory.file("a.pando"))
        let splits = try seen(path).map(\.split)
        var sample = JetSample(path)
        sample.split = "val"
        let part = try sample.observables(.jet)
        #expect(part.jets == splits.indices.filter { splits[$0] == "val" } && part.rows > 10)
        sample.split = nil
        sample.limit = 200
        let some = try sample.observables(.jet)
        #expect(some.rows == 200 && some.jets == some.jets.sorted())
        sample.limitSeed = 1
        #expect(try sample.observables(.jet).jets != some.jets)
    }

    @Test(.enabled(if: Package.jetclass != nil, "PANDO_DATA has no files of JetClass"))
    func `JetClass has other names for the same, flags for types, and labels`() throws {
        let directory = try TemporaryDirectory(inMemory: true), root = try #require(Package.jetclass)
        let names = try FileManager.default.contentsOfDirectory(atPath: root + "/val").sorted()
        let path = try dataset(directory.file("j.pando"), names.map { "\(root)/val/\($0)" }, schema: "jetclass")
        let jets = try seen(path, momenta: ["part_px", "part_py", "part_pz", "part_energy"])
        var sample = JetSample(path)
        sample.labelColumn = "label"
        let table = try sample.observables([.jet, .groomed, .types]), observer = try JetObserver([.jet, .groomed])
        for (number, jet) in jets.enumerated() {
            let expected = try observer.observe(px: jet.jet.px, py: jet.jet.py, pz: jet.jet.pz, energy: jet.jet.energy)
            try #require(table.columns.prefix(10).map { $0.values[number].bitPattern } == expected.map(\.bitPattern))
            #expect(table["n_electron"]?.values[number] == jet.columns["part_isElectron"]?.reduce(0, +))
            #expect(jet.values["label"] == .integer(Int64(table.labels[number])))
        }
        sample.labels = [8]
        let tops = try sample.observables(.groomed)
        #expect(
            tops.rows == 200 && Set(tops.labels) == [8] && tops.jets == jets.indices.filter { table.labels[$0] == 8 })
        // Top quarks: what the data's own page says of the mass after soft drop.
        let masses = try #require(tops["sd_mass"]).defined.sorted()
        #expect(masses[masses.count / 2] > 165 && masses[masses.count / 2] < 180)
        sample.labels = [77]
        #expect(try sample.observables(.jet).rows == 0)
    }

    @Test(.enabled(if: Package.data != nil, "PANDO_DATA has no PFNano files"))
    func `PFNano jets are observed too`() throws {
        let directory = try TemporaryDirectory(inMemory: true), data = try #require(Package.data)
        let path = try dataset(directory.file("p.pando"), [data + "/root/pfnano_mc_ttbar.root"], schema: "pfnano")
        let table = try JetSample(path).observables(.all)
        #expect(table.rows == 804 && table["jet_pt"]?.undefinedCount == 0)
        #expect(table["n_other"]?.values.allSatisfy { $0 == 0 } == true)
    }

    @Test func `generated jets have no types, and some are empty`() throws {
        let directory = try TemporaryDirectory(inMemory: true), path = directory.file("g.pando")
        let schema = try SourceSchema(named: "generated"), columns = JetColumns(fields: schema.fields)
        let counts = [3, 0, 1, 2, 5, 0, 40], total = counts.reduce(0, +)
        columns.resize(rows: counts.count, constituents: total)
        var random = RandomJets(seed: 1)
        columns.offsetNumbers[0] = 0
        for (field, described) in schema.fields.enumerated() where described.role != .constituent {
            columns.fields[field].base.initializeMemory(
                as: UInt8.self, repeating: 0, count: counts.count * described.type.width)
        }
        for (row, count) in counts.enumerated() {
            let from = Int(columns.offsetNumbers[row]), jet = random.jet(.centred, count: count)
            columns.offsetNumbers[row + 1] = Int32(from + count)
            for (name, values) in [("px", jet.px), ("py", jet.py), ("pz", jet.pz), ("E", jet.energy)] {
                let field = try #require(schema.fields.firstIndex { $0.name == name })
                let memory = columns.fields[field].base.assumingMemoryBound(to: Float.self)
                for (index, value) in values.enumerated() { memory[from + index] = Float(value) }
            }
        }
        let input = InputEntry(
            name: "g.h5", bytes: 0, headTailDigest: Digest(of: [UInt8]()), rows: counts.count, layout: nil)
        let builder = try DatasetBuilder(directory: path, schema: schema, command: "test", inputs: [input], slots: 128)
        try builder.append(columns)
        _ = try builder.finish()
        for view in [JetSample.View.stored, .tokenizer(.released)] {
            var sample = JetSample(path)
            sample.view = view
            sample.keepsConstituents = true
            let table = try sample.observables(.all)
            #expect(table["multiplicity"]?.values.map { $0.isNaN ? 0 : $0 } == counts.map(Double.init))
            #expect(table["n_other"]?.values.map { $0.isNaN ? 0 : $0 } == counts.map(Double.init))
            #expect(table.counts.empty == 2 && table.counts.fewerThanThree == 2 && table.counts.notFinite == 0)
            #expect(table.columns.allSatisfy { $0.values[1].isNaN && $0.values[5].isNaN })
            #expect(table["tau2"]?.values[3] == 0 && table["tau1"].map { $0.values[3] > 0 } == true)
            #expect(table["jet_pt"]?.undefinedCount == 2 && table["tau21"]?.undefinedCount == 3)
            #expect(table.constituents?.offsets == [0, 3, 3, 4, 6, 11, 11, 51])
        }
    }

    @Test func `what a dataset does not have is refused in words`() throws {
        let directory = try TemporaryDirectory(inMemory: true), path = try dataset(directory.file("a.pando"))
        func message(_ change: (inout JetSample) -> Void) -> String {
            var sample = JetSample(path)
            change(&sample)
            do {
                _ = try sample.observables(.jet)
                return ""
            } catch { return "\(error)" }
        }
        #expect(message { $0.dataset = "/nowhere" }.contains("no such dataset"))
        #expect(message { $0.split = "validation" }.contains("train"))
        #expect(message { $0.labels = [1] }.contains("no column of labels is named"))
        #expect(message { $0.labelColumn = "label" }.contains("label"))
        #expect(message { $0.threads = 0 }.contains("threads"))
        #expect(message { $0.options.radius = -1 }.contains("radius"))
        #expect(message { $0.isInterrupted = { true } }.contains("stopped"))
        #expect(message { $0.limit = 0 }.contains("limit"))
        let shard = path + "/shards/00000.arrow"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: shard))
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: URL(fileURLWithPath: shard))
        #expect(message { $0.threads = 4 }.contains("shards/00000.arrow"))
    }
}
