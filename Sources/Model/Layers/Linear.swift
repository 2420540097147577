import Torch

/// y = x W' + b, with weight [out, in], as PyTorch's `nn.Linear`.
struct Linear {
    let weight: Tensor
    let bias: Tensor?

    /// Registers weight and bias under `name`, uniform in ±1/√in as PyTorch does.
    init(_ parameters: Parameters, _ name: String, _ inputs: Int, _ outputs: Int, hasBias: Bool = true) throws {
        let bound = 1 / Double(max(1, inputs)).squareRoot()
        weight = try parameters.add("\(name).weight", .uniform([outputs, inputs], -bound...bound))
        bias = hasBias ? try parameters.add("\(name).bias", .uniform([outputs], -bound...bound)) : nil
    }

    func callAsFunction(_ x: Tensor) throws(TorchError) -> Tensor { try x.linear(weight, bias) }
}

/// Normalises the last axis to mean 0 and variance 1, then scales and shifts, as PyTorch's `nn.LayerNorm`.
struct LayerNorm {
    let weight: Tensor
    let bias: Tensor

    init(_ parameters: Parameters, _ name: String, _ width: Int, weight: Double = 1) throws {
        self.weight = try parameters.add("\(name).weight", .full([width], weight))
        bias = try parameters.add("\(name).bias", .zeros([width]))
    }

    func callAsFunction(_ x: Tensor) throws(TorchError) -> Tensor { try x.layerNorm(weight, bias) }
}
