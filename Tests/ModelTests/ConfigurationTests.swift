import Foundation
import Model
import TestSupport
import Testing

/// The files under `configs/`.
@Suite(.serialized)
struct ConfigurationTests {
    private static let folder = Package.root + "/configs"

    private func read(_ name: String, _ overrides: [String] = []) throws -> TrainingConfiguration {
        try TrainingConfiguration(path: "\(Self.folder)/\(name).json", overrides: overrides)
    }

    @Test func `all of them are understood`() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder).filter { $0.hasSuffix(".json") }
        #expect(names.count >= 10)
        // A study is none of a run, but names some.
        for name in names where name != "study-small.json" { _ = try read(String(name.dropLast(5))) }
        let study = try StudyConfiguration(path: Self.folder + "/study-small.json")
        #expect(study.sizes == [100, 1000, 10_000] && study.strategies.count == 3)
        for path in study.tokenizers.values.compactMap(\.configuration) + [study.training] {
            #expect(names.contains(String(path.dropFirst("configs/".count))))
        }
    }

    @Test func `the released ones have the released sizes and recipes`() throws {
        let jetclass = try read("tokenizer-jetclass"), aoj = try read("tokenizer-aoj")
        #expect(try Tokenizer(jetclass.tokenizer).parameters.count == 833_551)
        #expect(jetclass.features == .released && aoj.features == .released)
        #expect(jetclass.tokenizer == TokenizerConfiguration() && jetclass.optimizer == .adamW())
        #expect(aoj.tokenizer.heads == 4 && aoj.optimizer == OptimizerConfiguration(.ranger))
        #expect(jetclass.schedule == TrainingConfiguration(.tokenizer).schedule)
        for name in ["pretrain-aoj", "pretrain-jetclass", "finetune-jetclass", "classify-jetclass"] {
            let configuration = try read(name)
            #expect(configuration.backbone == BackboneConfiguration(), "\(name)")
            #expect(configuration.schedule == .constant(), "\(name)")
            #expect(configuration.clip == 5 && configuration.seed == 1603, "\(name)")
        }
        // An epoch of a small set is a pass over it, or patience would be that of 7,800 steps.
        #expect(try read("finetune-jetclass").epochSteps == 0 && read("finetune-jetclass").patience == 10)
        #expect(try GenerativeModel(read("pretrain-aoj").backbone).parameters.count == 6_570_498)
        #expect(try read("pretrain-aoj").steps == 900_000 && read("pretrain-aoj").batch == 12 * 256)
        let classify = try read("classify-jetclass")
        #expect(classify.optimizer == .adamW(rate: 1e-4) && classify.labels == [0, 8])
        #expect(
            try Classifier(classify.backbone, head: classify.head, classes: classify.classes).parameters.count
                == 4_530_946)
    }

    @Test func `values from the command line go over those of the file`() throws {
        let changed = try read("pretrain-small", ["task=classify", "optimizer.rate=0.5", "data.limit=10"])
        #expect(changed.task == .classify && changed.optimizer.rate == 0.5 && changed.data.limit == 10)
        #expect(changed.batch == 64)
        for (override, place) in [
            ("nothing=1", "nothing"), ("divergence=0.5", "divergence"), ("classes", "--set classes"),
        ] {
            let error = #expect(throws: ModelError.self) { try read("pretrain-small", [override]) }
            #expect(error?.place == place)
        }
    }
}
